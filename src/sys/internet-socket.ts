/** IPv4 sockets that a network namespace of somebody else is asked for: ip(7). All close-on-exec and non-blocking; the caller closes them. */
import { closeSync } from 'node:fs';
import { SyscallError } from '../errors.ts';
import { errnoName, invoke } from './errno.ts';
import { bind } from './libc.ts';
import { inNetworkNamespace } from './namespace.ts';

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK_CLOEXEC = 0o2004000;
const ADDRESS_BYTES = 16;
const ENETUNREACH = 101;
const EINPROGRESS = 115;
/** TEST-NET-1 (RFC 5737): nothing is sent there, the kernel only says which address it would send from. */
const ELSEWHERE = '192.0.2.1';

const socket = bind('int socket(int domain, int type, int protocol)');
const connect = bind('int connect(int fd, const uint8_t *address, uint32_t length)');
const bindAddress = bind('int bind(int fd, const uint8_t *address, uint32_t length)');
const getsockname = bind('int getsockname(int fd, _Out_ uint8_t *address, _Inout_ uint32_t *length)');

/** A TCP connection that is being made to `address`:`port`, as somebody inside would make it. */
export function connectInNamespace(netns: number, address: string, port: number): number {
  return inNetworkNamespace(netns, () => {
    const fd = open(SOCK_STREAM);
    const result = invoke(connect, fd, socketAddress(address, port), ADDRESS_BYTES);
    if (result >= 0 || result === -EINPROGRESS) return fd;
    closeSync(fd);
    throw new SyscallError('connect', `${address}:${port}`, errnoName(-result));
  });
}

/** A UDP socket inside, with a port that the kernel chooses. */
export function datagramInNamespace(netns: number): number {
  return inNetworkNamespace(netns, () => {
    const fd = open(SOCK_DGRAM);
    const result = invoke(bindAddress, fd, socketAddress('0.0.0.0', 0), ADDRESS_BYTES);
    if (result >= 0) return fd;
    closeSync(fd);
    throw new SyscallError('bind', 'a UDP socket', errnoName(-result));
  });
}

/** The address that the namespace sends from; 127.0.0.1 where it reaches nobody. */
export function ownAddress(netns: number): string {
  return inNetworkNamespace(netns, () => {
    const fd = open(SOCK_DGRAM);
    try {
      const result = invoke(connect, fd, socketAddress(ELSEWHERE, 9), ADDRESS_BYTES);
      if (result === -ENETUNREACH) return '127.0.0.1';
      if (result < 0) throw new SyscallError('connect', ELSEWHERE, errnoName(-result));
      const address = Buffer.alloc(ADDRESS_BYTES);
      const named = invoke(getsockname, fd, address, [ADDRESS_BYTES]);
      if (named < 0) throw new SyscallError('getsockname', 'a UDP socket', errnoName(-named));
      return address.subarray(4, 8).join('.');
    } finally {
      closeSync(fd);
    }
  });
}

function open(type: number): number {
  const fd = invoke(socket, AF_INET, type | SOCK_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw new SyscallError('socket', 'AF_INET', errnoName(-fd));
  return fd;
}

/** struct sockaddr_in */
function socketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(ADDRESS_BYTES);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.split('.').map(Number), 4);
  return bytes;
}
