import { pushIndex } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';
import { withProgress } from '../with-progress.ts';

/** `tsbuild manifest push NAME [DESTINATION]`: prints the digest. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = '', destination] = operands;
  const { digest } = await withProgress(terminal, flags, (options) => pushIndex({ ...options, name, destination }));
  printResult(terminal, digest);
  return 0;
}
