import { inspectImage } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild inspect IMAGE`: name, descriptor, manifest and config as JSON. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = ''] = operands;
  printResult(terminal, JSON.stringify(await inspectImage({ root: flags.root, signal: terminal.signal, name }), undefined, 2));
  return 0;
}
