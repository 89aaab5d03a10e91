/**
 * A step's way to an SSH agent: a socket of the step's own, through which only listing keys and signing go, and which is gone
 * with the step. Source: draft-ietf-sshm-ssh-agent, "Protocol Messages".
 */
import { chmodSync, chownSync, closeSync, openSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { FileOwner } from './container-spec.ts';

export interface AgentProxy extends AsyncDisposable {
  /** Absolute path of the socket. */
  readonly socket: string;
}

export interface AgentProxyOptions {
  /** A directory that nobody else writes to. */
  readonly directory: string;
  /** Path of the agent's own socket. */
  readonly agent: string;
  readonly owner: FileOwner;
}

const REQUEST_IDENTITIES = 11;
const SIGN_REQUEST = 13;
const FAILURE = Buffer.from([0, 0, 0, 1, 5]);
/** As OpenSSH's limit. */
const MESSAGE_BYTES_MAX = 256 * 1024;
const CONNECTIONS_MAX = 64;

/** Listens until it is disposed. */
export async function openAgentProxy({ directory, agent, owner }: AgentProxyOptions): Promise<AgentProxy> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(agent);
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      // The other end went away: the step sees its connection end.
      socket.on('error', () => socket.destroy());
    }
    serve(client, upstream).then(
      () => closeBoth(client, upstream),
      () => closeBoth(client, upstream),
    );
  });
  server.maxConnections = CONNECTIONS_MAX;
  const socket = join(directory, 'agent');
  await listen(server, directory);
  chownSync(socket, owner.uid, owner.gid);
  chmodSync(socket, owner.mode);
  return {
    socket,
    async [Symbol.asyncDispose]() {
      for (const each of open) each.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** By a descriptor of the directory: the name of a socket has 108 bytes at most (unix(7)), a path of ours may be longer. */
async function listen(server: Server, directory: string): Promise<void> {
  const fd = openSync(directory, 'r');
  server.on('close', () => closeSync(fd));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(`/proc/self/fd/${fd}/agent`, () => resolve());
  });
}

/** One request at a time, each with its answer. */
async function serve(client: Socket, upstream: Socket): Promise<void> {
  const answers = messages(upstream);
  for await (const request of messages(client)) {
    const type = request[4];
    if (type !== REQUEST_IDENTITIES && type !== SIGN_REQUEST) {
      client.write(FAILURE);
      continue;
    }
    upstream.write(request);
    const answer = await answers.next();
    if (answer.done === true) return;
    client.write(answer.value);
  }
}

/** Whole messages with their length in front; ends at the end of the stream, and at a length that no message has. */
async function* messages(socket: Socket): AsyncGenerator<Buffer, void, undefined> {
  let pending = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 4) {
      const length = pending.readUInt32BE(0);
      if (length === 0 || length > MESSAGE_BYTES_MAX) return;
      if (pending.length < 4 + length) break;
      yield pending.subarray(0, 4 + length);
      pending = pending.subarray(4 + length);
    }
  }
}

function closeBoth(client: Socket, upstream: Socket): void {
  client.destroySoon();
  upstream.destroy();
}
