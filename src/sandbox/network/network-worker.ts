/**
 * Entry of the thread that makes networks for an ordinary user (see user-network-pool.ts). A network namespace belongs to a thread: this one
 * moves into one of the user's own and stays, so that all that a pool does to "the machine" it does there. Descriptors are the process's.
 */
import { openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { milliseconds } from '../../clock.ts';
import { SyscallError, TsbuildError } from '../../errors.ts';
import { errnoName } from '../../sys/errno.ts';
import { NETLINK_ROUTE, openNetlink } from '../../sys/netlink.ts';
import { unshare } from '../../sys/process.ts';
import { readHostNetwork } from './host-network.ts';
import { type NetworkPool, openNetworkPool } from './network-pool.ts';
import type { WorkerAnswer, WorkerRequest } from './user-network-pool.ts';

const CLONE_NEWNET = 0x40000000;
const POLL_MS = 2;
/** As long as a busy machine may take to start a program. */
const CONNECT_MS = 20_000;

let pool: NetworkPool | undefined;

parentPort?.on('message', (request: WorkerRequest) => {
  answer(request).then(post, (error: unknown) => post(failure(request, error)));
});
post({ kind: 'namespace', ...namespace() });

function namespace(): { fd: number } | { errno: string } {
  const errno = unshare(CLONE_NEWNET);
  return errno === 0 ? { fd: openSync('/proc/thread-self/ns/net', 'r') } : { errno: errnoName(errno) };
}

async function answer(request: WorkerRequest): Promise<WorkerAnswer> {
  switch (request.kind) {
    case 'open':
      await untilConnected();
      pool = openNetworkPool({ size: request.size, nameServer: request.nameServer, emit: (event) => post({ kind: 'event', event }) });
      return { kind: 'open' };
    case 'take': {
      if (pool === undefined) throw new Error('The pool of networks is not open');
      const { netnsFd, resolvConf } = await pool.take();
      return { kind: 'network', id: request.id, netnsFd, resolvConf };
    }
    case 'close':
      pool?.close();
      return { kind: 'closed' };
  }
}

/** There is a way out of the namespace as soon as the connector has set one up: no program of its kind tells so in the same way. */
async function untilConnected(): Promise<void> {
  using socket = openNetlink(NETLINK_ROUTE);
  const deadline = milliseconds() + CONNECT_MS;
  while (readHostNetwork(socket).uplinks.length === 0) {
    if (milliseconds() > deadline)
      throw new TsbuildError('NETWORK_SETUP', 'Cannot connect the network of steps: there is no way out of it');
    await sleep(POLL_MS);
  }
}

/** Errors lose their class between threads. */
function failure(request: WorkerRequest, error: unknown): WorkerAnswer {
  if (!(error instanceof TsbuildError)) throw error;
  const { message, code, hint } = error;
  const errno = error instanceof SyscallError ? error.errno : undefined;
  return { kind: 'failed', id: request.kind === 'take' ? request.id : undefined, message, code, hint, errno };
}

function post(message: WorkerAnswer): void {
  parentPort?.postMessage(message);
}
