/** Requests to the kernel over a netlink socket, and its answers or refusals (netlink(7)). */
import { SyscallError } from '../../errors.ts';
import { errnoName } from '../../sys/errno.ts';
import type { NetlinkSocket } from '../../sys/netlink.ts';
import { type NetlinkMessage, netlinkMessage, parseMessages } from './netlink-message.ts';

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const DUMP_ATTEMPTS_MAX = 10;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;

export interface NetlinkRequest {
  readonly type: number;
  /** Besides NLM_F_REQUEST and NLM_F_ACK. */
  readonly flags?: number;
  readonly parts: readonly Buffer[];
  /** For the error message, as in `Cannot <verb> <subject>: EPERM`. */
  readonly verb: string;
  readonly subject: string;
}

/** Sends a request that the kernel carries out and acknowledges; returns what it answered before that. */
export function command(socket: NetlinkSocket, request: NetlinkRequest): NetlinkMessage[] {
  const sequence = nextSequence();
  socket.send(netlinkMessage(request.type, NLM_F_REQUEST | NLM_F_ACK | (request.flags ?? 0), sequence, request.parts));
  return receiveUntil(socket, request, (message) => message.type === NLMSG_ERROR && message.sequence === sequence);
}

/** Asks for all objects of a kind; asks again when they changed while the kernel listed them. */
export function dump(socket: NetlinkSocket, request: NetlinkRequest): NetlinkMessage[] {
  for (let attempt = 1; ; attempt++) {
    const sequence = nextSequence();
    socket.send(netlinkMessage(request.type, NLM_F_REQUEST | NLM_F_DUMP, sequence, request.parts));
    let interrupted = false;
    const answers = receiveUntil(socket, request, (message) => {
      interrupted ||= (message.flags & NLM_F_DUMP_INTR) !== 0;
      return message.type === NLMSG_DONE && message.sequence === sequence;
    });
    // A list that never holds still is still the best there is.
    if (!interrupted || attempt === DUMP_ATTEMPTS_MAX) return answers;
  }
}

/** What came before the message that `ends` names; an errno in any message is thrown as a SyscallError. */
export function receiveUntil(
  socket: NetlinkSocket,
  request: Pick<NetlinkRequest, 'verb' | 'subject'>,
  ends: (message: NetlinkMessage) => boolean,
): NetlinkMessage[] {
  const answers: NetlinkMessage[] = [];
  for (;;) {
    for (const message of parseMessages(socket.receive())) {
      const errno = message.type === NLMSG_ERROR ? -message.body.readInt32LE(0) : 0;
      if (errno !== 0) throw new SyscallError(request.verb, request.subject, errnoName(errno));
      if (ends(message)) return answers;
      answers.push(message);
    }
  }
}

let sequences = 0;

/** Never 0, which messages have that nobody asked for. */
export function nextSequence(): number {
  sequences = (sequences % 0x7fffffff) + 1;
  return sequences;
}
