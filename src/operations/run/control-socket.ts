/** How another command reaches the process that runs a container: a socket in its directory takes lines that are names of signals. */
import { closeSync, openSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { constants } from 'node:os';
import { isCode } from '../../store/error-code.ts';

const LINE_BYTES_MAX = 64;
const NAMES = new Set(Object.keys(constants.signals));

/** `signal` is called for each line; the answer follows. Close it with the container. */
export async function serveControl(directory: string, signal: (name: NodeJS.Signals) => void): Promise<{ close(): void }> {
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.once('close', () => clients.delete(client));
    client.on('error', () => client.destroy());
    let text = '';
    client.on('data', (data: Buffer) => {
      text += data.toString('latin1');
      const [line, rest] = text.split('\n', 2);
      if (rest === undefined && text.length <= LINE_BYTES_MAX) return;
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
    close() {
      server.close();
      for (const client of clients) client.destroy();
      closeSync(fd);
    },
  };
}

/** False where nobody listens: the container has ended. */
export async function sendSignal(directory: string, name: NodeJS.Signals): Promise<boolean> {
  let fd: number | undefined;
  try {
    fd = openSync(directory, 'r');
    return await ask(shortPath(fd), name);
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].some((code) => isCode(error, code))) return false;
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

async function ask(path: string, name: NodeJS.Signals): Promise<boolean> {
  return await new Promise<boolean>((resolve, reject) => {
    const client = createConnection(path, () => client.write(`${name}\n`));
    let answered = false;
    client.on('data', () => {
      answered = true;
    });
    client.once('error', reject);
    client.once('close', () => resolve(answered));
  });
}

/** A socket's path has at most 107 bytes (unix(7)), a state directory's may have more. */
function shortPath(directory: number): string {
  return `/proc/self/fd/${directory}/control`;
}
