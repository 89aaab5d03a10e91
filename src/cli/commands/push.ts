import { pushImage } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { signingKeyOf } from '../key-flag.ts';
import { printResult } from '../terminal.ts';
import { withProgress } from '../with-progress.ts';

/** `tsbuild push IMAGE`: prints the digest of the manifest. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = ''] = operands;
  const signBy = flags.signBy === undefined ? undefined : signingKeyOf('--sign-by', flags.signBy, terminal.env);
  const { digest } = await withProgress(terminal, flags, (options) => pushImage({ ...options, name, signBy }));
  printResult(terminal, digest);
  return 0;
}
