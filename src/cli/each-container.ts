/** A command for several containers. */
import { exitCodeOf, reportError } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

/** Goes on with the others where one fails; the exit code is the first failure's. */
export async function eachContainer(terminal: Terminal, names: readonly string[], act: (name: string) => Promise<void>): Promise<number> {
  let code = 0;
  for (const name of names) {
    try {
      await act(name);
    } catch (error) {
      if (terminal.signal.aborted) throw error;
      reportError(terminal, error);
      code ||= exitCodeOf(error);
    }
  }
  return code;
}
