import { TsbuildError } from '../../errors.ts';
import { stopContainer } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { eachContainer } from '../each-container.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild stop CONTAINER...`: prints each that has ended. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const seconds = secondsOf(flags.time);
  return await eachContainer(terminal, operands, async (name) => {
    await stopContainer({ root: flags.root, signal: terminal.signal, name, seconds });
    printResult(terminal, name);
  });
}

function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,6}$/.test(text)) throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text)} as --time: not a number of seconds`);
  return Number(text);
}
