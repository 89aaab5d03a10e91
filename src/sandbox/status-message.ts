/**
 * What the container's side writes to the socket that tsbuild holds the other end of; struct message of sys/native/syscall.h:
 *
 *   child, before exec:     operation failed {index, errno}          launch.c or launch-helper.ts
 *   helper process:         child {pid}                              launch-helper.ts only
 *   PID 1:                  not started {errno} | started, then exited {code} | killed {signal}      init.c
 *
 * The first of them that tells an end says how the step ended; what follows it repeats the news, or is `started` of a command that was not.
 */
export type StatusMessage =
  | { readonly kind: 'operation failed'; readonly index: number; readonly errno: number }
  | { readonly kind: 'not started'; readonly errno: number }
  | { readonly kind: 'exited'; readonly exitCode: number }
  | { readonly kind: 'killed'; readonly signal: number }
  | { readonly kind: 'child'; readonly pid: number }
  | { readonly kind: 'started' };

const MESSAGE_BYTES = 12;

/** The whole messages in `bytes`. An unknown kind is a bug. */
export function decodeMessages(bytes: Buffer): StatusMessage[] {
  const messages: StatusMessage[] = [];
  for (let offset = 0; offset + MESSAGE_BYTES <= bytes.length; offset += MESSAGE_BYTES) {
    messages.push(decodeMessage(bytes.subarray(offset, offset + MESSAGE_BYTES)));
  }
  return messages;
}

export function encodeFailure(index: number, errno: number): Buffer {
  return encode(1, index, errno);
}

export function encodeChild(pid: number): Buffer {
  return encode(5, pid, 0);
}

function encode(kind: number, value: number, detail: number): Buffer {
  const bytes = Buffer.alloc(MESSAGE_BYTES);
  bytes.writeUInt32LE(kind, 0);
  bytes.writeInt32LE(value, 4);
  bytes.writeInt32LE(detail, 8);
  return bytes;
}

function decodeMessage(bytes: Buffer): StatusMessage {
  const kind = bytes.readUInt32LE(0);
  const value = bytes.readInt32LE(4);
  if (kind === 1) return { kind: 'operation failed', index: value, errno: bytes.readInt32LE(8) };
  if (kind === 2) return { kind: 'not started', errno: value };
  if (kind === 3) return { kind: 'exited', exitCode: value };
  if (kind === 4) return { kind: 'killed', signal: value };
  if (kind === 5) return { kind: 'child', pid: value };
  if (kind === 6) return { kind: 'started' };
  throw new Error(`Unknown message ${kind} from the container`);
}
