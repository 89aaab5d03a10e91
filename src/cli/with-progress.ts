/** Runs something long with its events drawn. */
import { firstError, TsbuildError } from '../errors.ts';
import type { CommonOptions } from '../index.ts';
import { openRenderer } from '../progress/renderer.ts';
import type { Flags } from './command-table.ts';
import { ReportedError } from './exit-code.ts';
import { retriesOf } from './retry-flags.ts';
import type { Terminal } from './terminal.ts';

/** `work` gets what every function of the library takes. An error has been shown when this rejects with a ReportedError. */
export async function withProgress<T>(terminal: Terminal, flags: Flags, work: (options: CommonOptions) => Promise<T>): Promise<T> {
  const retries = retriesOf(flags);
  const renderer = openRenderer(flags.quiet === true ? 'quiet' : (flags.progress ?? 'auto'), terminal.screen);
  try {
    const result = await work({ root: flags.root, retries, signal: terminal.signal, onEvent: (event) => renderer.event(event) });
    await renderer.end();
    return result;
  } catch (thrown) {
    const error = firstError(thrown);
    if (!(error instanceof TsbuildError)) {
      await renderer.end();
      throw error;
    }
    await renderer.end(error);
    throw new ReportedError(error);
  }
}
