import { signImage } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { signingKeyOf } from '../key-flag.ts';
import { printResult } from '../terminal.ts';
import { withProgress } from '../with-progress.ts';

/** `tsbuild sign IMAGE --key FILE`: prints the digest that was signed. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = ''] = operands;
  const source = signingKeyOf('--key', flags.key, terminal.env);
  const { digest } = await withProgress(terminal, flags, (options) => signImage({ ...options, ...source, name }));
  printResult(terminal, digest);
  return 0;
}
