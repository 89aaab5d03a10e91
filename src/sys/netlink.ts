/** A netlink socket (netlink(7)): bytes to the kernel and bytes back. What they mean is the caller's. */
import { closeSync } from 'node:fs';
import { SyscallError } from '../errors.ts';
import { errnoName, invoke } from './errno.ts';
import { bind } from './libc.ts';

/** Protocols of netlink (linux/netlink.h). */
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const MSG_TRUNC = 0x20;
/** The kernel answers while it takes the request; waiting longer means that an answer was lost. */
const RECEIVE_TIMEOUT_SECONDS = 10;
/** No answer is larger: dumps come in parts of at most 32 KiB (af_netlink.c). */
const RECEIVE_SIZE = 64 * 1024;

/** Every answer is copied out of it before anything else runs. */
const received = Buffer.allocUnsafeSlow(RECEIVE_SIZE);

const socket = bind('int socket(int domain, int type, int protocol)');
const setsockopt = bind('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)');
const send = bind('long send(int fd, const uint8_t *bytes, size_t length, int flags)');
const recv = bind('long recv(int fd, uint8_t *bytes, size_t length, int flags)');

/** Belongs to the network namespace that it was opened in, and keeps that alive until it is closed. */
export interface NetlinkSocket extends Disposable {
  /** One datagram to the kernel. */
  send(bytes: Buffer): void;
  /** The next datagram from the kernel. Blocks, but no longer than the kernel takes to answer. */
  receive(): Buffer;
}

/** `protocol` is NETLINK_ROUTE or NETLINK_NETFILTER. */
export function openNetlink(protocol: number): NetlinkSocket {
  const fd = invoke(socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  check('open', protocol, fd);
  const timeout = Buffer.alloc(16);
  timeout.writeBigInt64LE(BigInt(RECEIVE_TIMEOUT_SECONDS), 0);
  check('set the timeout of', protocol, invoke(setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length));
  let open = true;
  return {
    send(bytes) {
      check('send to', protocol, invoke(send, fd, bytes, bytes.length, 0));
    },
    receive() {
      const size = invoke(recv, fd, received, received.length, MSG_TRUNC);
      check('receive from', protocol, size);
      if (size > received.length) throw new SyscallError('receive from', subject(protocol), 'EMSGSIZE');
      return Buffer.from(received.subarray(0, size));
    },
    [Symbol.dispose]() {
      if (open) {
        open = false;
        closeSync(fd);
      }
    },
  };
}

function check(verb: string, protocol: number, result: number): void {
  if (result < 0) throw new SyscallError(verb, subject(protocol), errnoName(-result));
}

function subject(protocol: number): string {
  return `a netlink socket of protocol ${protocol}`;
}
