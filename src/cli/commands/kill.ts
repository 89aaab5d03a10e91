import { killContainer } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { eachContainer } from '../each-container.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild kill CONTAINER...`: prints each that got the signal. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  return await eachContainer(terminal, operands, async (name) => {
    await killContainer({ root: flags.root, signal: terminal.signal, name, signalName: flags.signal });
    printResult(terminal, name);
  });
}
