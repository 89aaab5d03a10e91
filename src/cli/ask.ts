/** What only the user knows, asked on the terminal or read from standard input. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { TsbuildError } from '../errors.ts';

export interface Asking {
  readonly prompt: string;
  /** `hidden`: nothing of what is typed appears. */
  readonly echo: 'shown' | 'hidden';
  readonly signal: AbortSignal;
}

/** Longest password on standard input, in bytes: tokens of some registries have kilobytes. */
const INPUT_MAX = 64 * 1024;

/** One line of the terminal, without its end. readline puts the terminal back, also when it is interrupted. Throws INTERRUPTED. */
export async function askOnTerminal(screen: NodeJS.WritableStream, { prompt, echo, signal }: Asking): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const output = echo === 'shown' ? screen : nowhere;
  const line = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
  // Only now that the terminal echoes nothing any more: who sees the prompt may type.
  screen.write(prompt);
  const close = (): void => line.close();
  signal.addEventListener('abort', close, { once: true });
  // In raw mode Ctrl-C is a character: readline tells of it, and the process does what it does with the signal.
  line.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    const [text] = (await Promise.race([once(line, 'line'), once(line, 'close').then(() => [undefined])])) as [string | undefined];
    if (text === undefined) throw new TsbuildError('INTERRUPTED', 'Cannot log in: interrupted');
    return text;
  } finally {
    signal.removeEventListener('abort', close);
    line.close();
    if (echo === 'hidden') screen.write('\n');
  }
}

/** All of standard input but the end of its last line. Throws USAGE where it is too long. */
export async function readPassword(input: Readable, signal: AbortSignal): Promise<string> {
  signal.addEventListener('abort', () => input.destroy(), { once: true });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of input) {
    size += chunk.length;
    if (size > INPUT_MAX)
      throw new TsbuildError('USAGE', `Cannot log in: the password on standard input is longer than ${INPUT_MAX} bytes`);
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
