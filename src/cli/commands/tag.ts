import { tagImage } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild tag SOURCE TARGET`: prints the digest that TARGET names now. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [source = '', target = ''] = operands;
  const { digest } = await tagImage({ root: flags.root, signal: terminal.signal, source, target });
  printResult(terminal, digest);
  return 0;
}
