/** A descriptor out of a socket: recvmsg(2) with SCM_RIGHTS, unix(7). */
import { SyscallError } from '../errors.ts';
import { errnoName, invoke } from './errno.ts';
import { bind } from './libc.ts';
import { Memory } from './memory.ts';

const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const DATA_BYTES_MAX = 32;
/** Where the parts of the message lie: struct msghdr, struct iovec, bytes, struct cmsghdr with one descriptor. */
const AT = { message: 0, vector: 64, data: 96, control: 128 } as const;
const CONTROL_BYTES = 24;

const recvmsg = bind('long recvmsg(int fd, uintptr_t message, int flags)');

/** The one that was sent with the next bytes, close-on-exec; undefined at the end. Never waits. */
export function receiveDescriptor(socket: number): number | undefined {
  const received = receiveMessage(socket, 1);
  if (received.bytes.length === 0) return undefined;
  if (received.descriptor === undefined) throw new Error('A message without a descriptor');
  return received.descriptor;
}

/** The next bytes, at most `size`, and the descriptor that came with them. Never waits. */
export function receiveMessage(socket: number, size: number): { readonly bytes: Buffer; readonly descriptor: number | undefined } {
  using memory = new Memory(AT.control + CONTROL_BYTES);
  const header = Buffer.alloc(56);
  header.writeBigUInt64LE(memory.address + BigInt(AT.vector), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(memory.address + BigInt(AT.control), 32);
  header.writeBigUInt64LE(BigInt(CONTROL_BYTES), 40);
  memory.write(AT.message, header);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(memory.address + BigInt(AT.data), 0);
  vector.writeBigUInt64LE(BigInt(Math.min(size, DATA_BYTES_MAX)), 8);
  memory.write(AT.vector, vector);
  const result = invoke(recvmsg, socket, memory.address, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (result < 0) throw new SyscallError('recvmsg', 'a descriptor', errnoName(-result));
  const control = memory.read(AT.control, CONTROL_BYTES);
  const isDescriptor = control.readInt32LE(8) === SOL_SOCKET && control.readInt32LE(12) === SCM_RIGHTS;
  return { bytes: memory.read(AT.data, result), descriptor: isDescriptor ? control.readInt32LE(16) : undefined };
}
