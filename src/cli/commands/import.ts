import { importImage } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';
import { withProgress } from '../with-progress.ts';

/** `tsbuild import FILE|- IMAGE`: prints the digest of the manifest. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [input = '', name = ''] = operands;
  const { digest } = await withProgress(terminal, flags, (options) => importImage({ ...options, input, name }));
  printResult(terminal, digest);
  return 0;
}
