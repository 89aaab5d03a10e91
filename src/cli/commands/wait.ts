import { waitForContainer } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { eachContainer } from '../each-container.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild wait CONTAINER...`: prints the exit code of each. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  return await eachContainer(terminal, operands, async (name) => {
    printResult(terminal, String(await waitForContainer({ root: flags.root, signal: terminal.signal, name })));
  });
}
