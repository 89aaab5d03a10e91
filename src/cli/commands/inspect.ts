import { inspectImage } from '../../index.ts';
import { plainJson } from '../../text/terminal-text.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild inspect IMAGE`: name, descriptor, manifest and config as JSON. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = ''] = operands;
  printResult(terminal, plainJson(await inspectImage({ root: flags.root, signal: terminal.signal, name }), 2));
  return 0;
}
