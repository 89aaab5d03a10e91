/** Ports of this machine that lead into a container, without rules and without a daemon: this process copies the bytes. */
import { createSocket, type Socket as DatagramSocket, type RemoteInfo } from 'node:dgram';
import { createServer, isIPv6, Socket } from 'node:net';
import { TsbuildError } from '../../errors.ts';
import { connectInNamespace, datagramInNamespace, ownAddress } from '../../sys/internet-socket.ts';
import type { PublishedPort } from './container-record.ts';

export interface ForwardedPorts extends Disposable {
  /** With the numbers that the machine chose where 0 was asked for. */
  readonly ports: readonly PublishedPort[];
  /** From now on connections go to the container whose network this is; before they are closed at once. */
  leadTo(netns: number): void;
}

interface Listener {
  readonly port: PublishedPort;
  close(): void;
}

/** Where to: undefined before the container is there. */
interface Target {
  netns: number | undefined;
  address: string;
}

/** So long after its last datagram a sender is forgotten. */
const DATAGRAM_IDLE_MS = 90_000;
const SENDERS_MAX = 1024;

/** Listens on all of them, or on none. Throws NETWORK_SETUP where a port is taken. */
export async function forwardPorts(ports: readonly PublishedPort[]): Promise<ForwardedPorts> {
  const target: Target = { netns: undefined, address: '' };
  const listeners: Listener[] = [];
  const close = (): void => {
    for (const listener of listeners.splice(0)) listener.close();
  };
  try {
    for (const port of ports) listeners.push(port.protocol === 'tcp' ? await listenTcp(port, target) : await listenUdp(port, target));
  } catch (error) {
    close();
    throw error;
  }
  return {
    ports: listeners.map(({ port }) => port),
    leadTo(netns) {
      target.address = ownAddress(netns);
      target.netns = netns;
    },
    [Symbol.dispose]: close,
  };
}

async function listenTcp(port: PublishedPort, target: Target): Promise<Listener> {
  const open = new Set<Socket>();
  const keep = (socket: Socket): void => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    keep(client);
    client.on('error', () => client.destroy());
    const inside = connectTo(target, port.containerPort);
    if (inside === undefined) {
      client.destroy();
      return;
    }
    keep(inside);
    join(client, inside);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(notListening(port, error)));
    server.listen({ host: port.address, port: port.hostPort, ipv6Only: true }, () => resolve());
  });
  const bound = server.address();
  const hostPort = typeof bound === 'object' && bound !== null ? bound.port : port.hostPort;
  return {
    port: { ...port, hostPort },
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

function connectTo({ netns, address }: Target, port: number): Socket | undefined {
  if (netns === undefined) return undefined;
  try {
    return new Socket({ fd: connectInNamespace(netns, address, port), readable: true, writable: true, allowHalfOpen: true });
  } catch {
    // Refused: the client learns it by the end of its connection, as from any forwarder.
    return undefined;
  }
}

/** Bytes in both directions; an end of one is passed on, an error ends both. */
function join(client: Socket, inside: Socket): void {
  inside.on('error', () => client.destroy());
  client.on('close', () => inside.destroy());
  inside.on('close', () => client.destroySoon());
  client.pipe(inside);
  inside.pipe(client);
}

async function listenUdp(port: PublishedPort, target: Target): Promise<Listener> {
  const senders = new Map<string, { readonly socket: DatagramSocket; timer: NodeJS.Timeout }>();
  const server = createSocket(isIPv6(port.address) ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' });
  const forget = (key: string): void => {
    const sender = senders.get(key);
    senders.delete(key);
    clearTimeout(sender?.timer);
    sender?.socket.close();
  };
  const answerTo = (from: RemoteInfo, key: string): DatagramSocket | undefined => {
    if (target.netns === undefined || senders.size >= SENDERS_MAX) return undefined;
    const socket = createSocket('udp4');
    socket.on('error', () => forget(key));
    socket.on('message', (data) => server.send(data, from.port, from.address));
    socket.bind({ fd: datagramInNamespace(target.netns) });
    senders.set(key, { socket, timer: setTimeout(forget, DATAGRAM_IDLE_MS, key) });
    return socket;
  };
  server.on('message', (data, from) => {
    const key = `${from.address} ${from.port}`;
    const known = senders.get(key);
    known?.timer.refresh();
    (known?.socket ?? answerTo(from, key))?.send(data, port.containerPort, target.address);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(notListening(port, error)));
    server.bind({ address: port.address, port: port.hostPort, exclusive: true }, () => resolve());
  });
  server.on('error', () => undefined);
  return {
    port: { ...port, hostPort: server.address().port },
    close() {
      server.close();
      for (const key of [...senders.keys()]) forget(key);
    },
  };
}

function notListening({ address, hostPort, protocol }: PublishedPort, error: NodeJS.ErrnoException): TsbuildError {
  const reasons: Record<string, string> = {
    EADDRINUSE: 'the port is taken',
    EACCES: 'ports below 1024 are for root',
    EADDRNOTAVAIL: 'this machine does not have that address',
  };
  const code = error.code ?? '';
  return new TsbuildError('NETWORK_SETUP', `Cannot listen on ${address}:${hostPort}/${protocol}: ${reasons[code] ?? code}`, {
    ...(code === 'EADDRINUSE' ? { hint: 'Choose another port, or 0 for any.' } : {}),
    cause: error,
  });
}
