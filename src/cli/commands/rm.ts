import { removeContainer } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { eachContainer } from '../each-container.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild rm CONTAINER...`: prints each that is gone. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const force = flags.force === true ? { force: 'kill' as const } : {};
  return await eachContainer(terminal, operands, async (name) => {
    await removeContainer({ root: flags.root, signal: terminal.signal, name, ...force });
    printResult(terminal, name);
  });
}
