/**
 * Networks for the steps of an ordinary user: a namespace of the user's own takes the place of the machine's, connected with it by one
 * process (connector.ts); the networks of steps hang on it as they hang on the machine for root. One thread lives there (network-worker.ts).
 */
import { closeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { ERROR_CODES, type ErrorName, SyscallError, TsbuildError } from '../../errors.ts';
import type { BuildEvent } from '../../events.ts';
import { entryFile } from '../../sys/entry-file.ts';
import { type Connector, type ConnectorProgram, startConnector } from './connector.ts';
import { type NetworkPool, type NetworkPoolOptions, type StepNetwork, stepNetwork } from './network-pool.ts';

export type WorkerRequest =
  | { readonly kind: 'open'; readonly size: number; readonly nameServer: string }
  | { readonly kind: 'take'; readonly id: number }
  | { readonly kind: 'close' };

export type WorkerAnswer =
  /** The namespace that the thread has moved to. */
  | { readonly kind: 'namespace'; readonly fd?: number; readonly errno?: string }
  | { readonly kind: 'open' | 'closed' }
  | { readonly kind: 'event'; readonly event: BuildEvent }
  | { readonly kind: 'network'; readonly id: number; readonly netnsFd: number; readonly resolvConf: string }
  | {
      readonly kind: 'failed';
      readonly id: number | undefined;
      readonly message: string;
      readonly code: string;
      readonly hint: string | undefined;
      readonly errno: string | undefined;
    };

export interface UserNetworkPoolOptions extends NetworkPoolOptions {
  /** For tests; otherwise those of connector.ts. */
  readonly connectors?: readonly ConnectorProgram[];
}

interface Waiting {
  resolve(network: StepNetwork): void;
  reject(error: unknown): void;
}

/** Opens nothing yet: the first `take` does. It throws NETWORK_SETUP where no connector is installed. */
export function openUserNetworkPool(options: UserNetworkPoolOptions = {}): NetworkPool {
  let opened: Promise<OpenPool> | undefined;
  let closed = false;
  const close = (): void => {
    closed = true;
    options.signal?.removeEventListener('abort', close);
    opened?.then((pool) => pool.close()).catch(() => undefined);
  };
  options.signal?.addEventListener('abort', close, { once: true });
  return {
    async take() {
      options.signal?.throwIfAborted();
      if (closed) throw new Error('The pool of networks is closed');
      opened ??= openPool(options);
      return await (await opened).take();
    },
    close,
  };
}

interface OpenPool {
  take(): Promise<StepNetwork>;
  close(): void;
}

async function openPool({ size = 1, emit, connectors }: UserNetworkPoolOptions): Promise<OpenPool> {
  const worker = new Worker(entryFile('network-worker.js', import.meta.url), { env: {}, execArgv: [], trackUnmanagedFds: false });
  worker.unref();
  const waiting = new Map<number, Waiting>();
  const failAll = (error: unknown): void => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.on('error', failAll);
  const thread = await firstAnswer(worker);
  const connector = startConnector(thread.fd, connectors);
  connector.failed.catch(failAll);
  worker.on('message', (answer: WorkerAnswer) => {
    if (answer.kind === 'event') emit?.(answer.event);
    if (answer.kind === 'network') waiting.get(answer.id)?.resolve(stepNetwork(answer.netnsFd, answer.resolvConf));
    if (answer.kind === 'failed' && answer.id !== undefined) waiting.get(answer.id)?.reject(asError(answer));
    if ((answer.kind === 'network' || answer.kind === 'failed') && answer.id !== undefined) waiting.delete(answer.id);
  });
  const close = (): void => {
    connector.stop();
    closeSync(thread.fd);
    // What is prepared and not taken is closed by the thread, which then ends.
    worker.once('message', () => void worker.terminate());
    worker.postMessage({ kind: 'close' } satisfies WorkerRequest);
  };
  try {
    await opening(worker, connector, size);
  } catch (error) {
    close();
    throw error;
  }
  let count = 0;
  return {
    take: () =>
      new Promise((resolve, reject) => {
        const id = count++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ kind: 'take', id } satisfies WorkerRequest);
      }),
    close,
  };
}

async function firstAnswer(worker: Worker): Promise<{ readonly fd: number }> {
  const answer = await nextAnswer(worker, 'namespace');
  if (answer.fd !== undefined) return { fd: answer.fd };
  throw new SyscallError('unshare', 'the network namespace of a thread (CLONE_NEWNET)', answer.errno ?? 'EPERM');
}

async function opening(worker: Worker, connector: Connector, size: number): Promise<void> {
  worker.postMessage({ kind: 'open', size, nameServer: connector.nameServer } satisfies WorkerRequest);
  await Promise.race([nextAnswer(worker, 'open'), connector.failed]);
}

type Answer<K extends WorkerAnswer['kind']> = Extract<WorkerAnswer, { readonly kind: K }>;

/** Rejects where the thread fails before it says so. */
async function nextAnswer<K extends WorkerAnswer['kind']>(worker: Worker, kind: K): Promise<Answer<K>> {
  return await new Promise<Answer<K>>((resolve, reject) => {
    const done = (act: () => void): void => {
      worker.off('message', onMessage);
      worker.off('error', onError);
      act();
    };
    const onError = (error: unknown): void => done(() => reject(error));
    const onMessage = (answer: WorkerAnswer): void => {
      if (answer.kind === 'failed') done(() => reject(asError(answer)));
      if (answer.kind === kind) done(() => resolve(answer as Answer<K>));
    };
    worker.on('message', onMessage);
    worker.on('error', onError);
  });
}

function asError({ message, code, hint }: Answer<'failed'>): TsbuildError {
  const name = code.replace(/^ERR_TSBUILD_/, '');
  return new TsbuildError(name in ERROR_CODES ? (name as ErrorName) : 'NETWORK_SETUP', message, { hint });
}
