/** IPv4 sockets that belong to another network namespace: ip(7). All are close-on-exec and non-blocking; the caller closes them. */
import { closeSync } from 'node:fs';
import { SyscallError } from '../errors.ts';
import { receiveMessage } from './descriptor-passing.ts';
import { errnoName, invoke } from './errno.ts';
import { bind } from './libc.ts';
import { inNetworkNamespace } from './namespace.ts';
import { makeSocketPair } from './pipe.ts';
import { waitPidfd } from './process.ts';
import type { Operation } from './syscall-program.ts';
import { cloneProgram } from './syscall-program-engine.ts';

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK_CLOEXEC = 0o2004000;
const ADDRESS_BYTES = 16;
/** Of a struct message: native/syscall.h. */
const MESSAGE_BYTES = 12;
const EINPROGRESS = 115;
/** TEST-NET-1 (RFC 5737): nothing is sent there, the kernel only says which address it would send from. */
const ELSEWHERE = '192.0.2.1';

const socket = bind('int socket(int domain, int type, int protocol)');
const connect = bind('int connect(int fd, const uint8_t *address, uint32_t length)');
const bindAddress = bind('int bind(int fd, const uint8_t *address, uint32_t length)');
const getsockname = bind('int getsockname(int fd, _Out_ uint8_t *address, _Inout_ uint32_t *length)');

interface Wanted {
  readonly type: typeof SOCK_STREAM | typeof SOCK_DGRAM;
  readonly verb: 'connect' | 'bind';
  readonly address: string;
  readonly port: number;
}

/** A TCP connection that is being made to `address`:`port`, as somebody inside would make it. */
export function connectInNamespace(netns: number, address: string, port: number): number {
  return openInside(netns, { type: SOCK_STREAM, verb: 'connect', address, port });
}

/** A UDP socket inside, with a port that the kernel chooses. */
export function datagramInNamespace(netns: number): number {
  return openInside(netns, { type: SOCK_DGRAM, verb: 'bind', address: '0.0.0.0', port: 0 });
}

/** The address that the namespace sends from; 127.0.0.1 where it reaches nobody. */
export function ownAddress(netns: number): string {
  let fd: number | undefined;
  try {
    fd = openInside(netns, { type: SOCK_DGRAM, verb: 'connect', address: ELSEWHERE, port: 9 });
    const address = Buffer.alloc(ADDRESS_BYTES);
    const named = invoke(getsockname, fd, address, [ADDRESS_BYTES]);
    if (named < 0) throw new SyscallError('getsockname', 'a UDP socket', errnoName(-named));
    return address.subarray(4, 8).join('.');
  } catch (error) {
    if (error instanceof SyscallError && error.errno === 'ENETUNREACH') return '127.0.0.1';
    throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function openInside(netns: number, wanted: Wanted): number {
  return inNetworkNamespace(netns, () => openHere(wanted)) ?? openByChild(netns, wanted);
}

function openHere(wanted: Wanted): number {
  const { type, verb, address, port } = wanted;
  const fd = invoke(socket, AF_INET, type | SOCK_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw refused(wanted, -fd);
  const result = invoke(verb === 'connect' ? connect : bindAddress, fd, socketAddress(address, port), ADDRESS_BYTES);
  if (result >= 0 || result === -EINPROGRESS) return fd;
  closeSync(fd);
  throw refused(wanted, -result);
}

/** A process that goes there, opens it, and sends it back: this one could not return. Takes a millisecond. */
function openByChild(netns: number, wanted: Wanted): number {
  const { type, verb, address, port } = wanted;
  const place = { bytes: socketAddress(address, port).toString('base64') };
  const made = { result: 'made' };
  const program: Operation[] = [
    { syscall: 'setns', arguments: [{ input: 'netns' }, CLONE_NEWNET], subject: 'a network namespace' },
    { syscall: 'socket', arguments: [AF_INET, type | SOCK_NONBLOCK_CLOEXEC, 0], subject: 'AF_INET', as: made.result },
    { syscall: verb, arguments: [made, place, ADDRESS_BYTES], subject: `${address}:${port}`, ignore: [EINPROGRESS] },
    { syscall: 'dup3', arguments: [made, 0, 0], subject: 'the socket to 0' },
    { syscall: 'sendmsg', arguments: [{ input: 'reply' }, { descriptor: 0 }, 0], subject: 'the socket' },
  ];
  const pair = makeSocketPair();
  try {
    const inputs = new Map([
      ['netns', netns],
      ['reply', pair.theirs],
    ]);
    // When it returns the child has ended.
    void waitPidfd(cloneProgram(program, { namespaces: 0, mode: 'share-memory', inputs, statusFd: pair.theirs }));
    const { bytes, descriptor } = receiveMessage(pair.ours, MESSAGE_BYTES);
    if (descriptor !== undefined) return descriptor;
    throw refused(wanted, bytes.readInt32LE(8));
  } finally {
    closeSync(pair.ours);
    closeSync(pair.theirs);
  }
}

function refused({ verb, address, port }: Wanted, errno: number): SyscallError {
  return new SyscallError(verb, `${address}:${port} in a network namespace`, errnoName(errno));
}

/** struct sockaddr_in */
function socketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(ADDRESS_BYTES);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.split('.').map(Number), 4);
  return bytes;
}
