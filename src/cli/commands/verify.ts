import { verifyImage } from '../../index.ts';
import { plainJson } from '../../text/terminal-text.ts';
import type { Invocation } from '../command-table.ts';
import { keyOf } from '../key-flag.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild verify IMAGE --key FILE`: prints the digest that the key signed, so that a script can go on with that. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = ''] = operands;
  const key = keyOf('--key', flags.key);
  const { digest, signatures } = await verifyImage({ root: flags.root, signal: terminal.signal, name, key });
  printResult(terminal, flags.format === 'json' ? plainJson({ digest, signatures }, 2) : digest);
  return 0;
}
