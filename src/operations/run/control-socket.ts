/**
 * How another command reaches the process that runs a container: a socket in its directory takes a line. The name of a signal is
 * answered when it is sent; `wait` is answered with the exit code at the end, and not at all where that process is killed.
 */
import { closeSync, openSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { constants } from 'node:os';
import { isCode } from '../../store/error-code.ts';

const LINE_BYTES_MAX = 64;
const WAIT = 'wait';
const NAMES = new Set(Object.keys(constants.signals));

export interface ControlServer {
  /** Tells who waits; undefined is the end of a container that has no exit code. */
  close(exitCode: number | undefined): void;
}

export async function serveControl(directory: string, signal: (name: NodeJS.Signals) => void): Promise<ControlServer> {
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.once('close', () => clients.delete(client));
    client.on('error', () => client.destroy());
    let text = '';
    let waits = false;
    client.on('data', (data: Buffer) => {
      if (waits) return;
      text += data.toString('latin1');
      const [line, rest] = text.split('\n', 2);
      if (rest === undefined && text.length <= LINE_BYTES_MAX) return;
      waits = line === WAIT;
      if (waits) return;
      if (line !== undefined && NAMES.has(line)) signal(line as NodeJS.Signals);
      client.end('ok\n');
    });
  });
  // Open as long as the server is: libuv removes the socket by the path that it was made under.
  const fd = openSync(directory, 'r');
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(shortPath(fd), () => resolve());
  });
  return {
    close(exitCode) {
      server.close();
      for (const client of clients) client.end(exitCode === undefined ? '' : `${exitCode}\n`);
      closeSync(fd);
    },
  };
}

/** False where nobody listens: the container has ended. */
export async function sendSignal(directory: string, name: NodeJS.Signals): Promise<boolean> {
  return (await request(directory, name)) === 'ok';
}

/** Undefined where nobody listens, or the process that ran it was killed. */
export async function askExitCode(directory: string, signal: AbortSignal | undefined): Promise<number | undefined> {
  const answer = await request(directory, WAIT, signal);
  return answer === undefined || !/^\d{1,3}$/.test(answer) ? undefined : Number(answer);
}

async function request(directory: string, line: string, signal?: AbortSignal): Promise<string | undefined> {
  let fd: number | undefined;
  try {
    fd = openSync(directory, 'r');
    return await ask(shortPath(fd), line, signal);
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].some((code) => isCode(error, code))) return undefined;
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The first line of the answer. Rejects with what `signal` says. */
async function ask(path: string, line: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  signal?.throwIfAborted();
  const client = createConnection(path, () => client.write(`${line}\n`));
  const onAbort = (): void => void client.destroy(signal?.reason instanceof Error ? signal.reason : new Error('Aborted'));
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await new Promise((resolve, reject) => {
      let text = '';
      client.on('data', (data: Buffer) => {
        text += data.toString('latin1');
      });
      client.once('error', reject);
      client.once('close', () => resolve(text.split('\n', 1)[0]));
    });
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** A socket's path has at most 107 bytes (unix(7)), a state directory's may have more. */
function shortPath(directory: number): string {
  return `/proc/self/fd/${directory}/control`;
}
