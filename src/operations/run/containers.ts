/** `ps`, `logs`, `stop`, `kill`, `rm`, `wait`, `port`: what is known of containers, and how they end. */

import { defaultRoot } from '../../default-root.ts';
import { TsbuildError } from '../../errors.ts';
import type { CommonOptions } from '../../session.ts';
import { prepareStateDirectory } from '../../store/state-directory.ts';
import { type LogEntry, readLog } from './container-log.ts';
import {
  type ContainerEntry,
  type ContainerRecord,
  type ContainerState,
  findContainer,
  hasEnded,
  listRecords,
  type PublishedPort,
  readRecord,
  removeRecord,
  untilEnded,
} from './container-record.ts';
import { namedSignal } from './container-settings.ts';
import { askExitCode, sendSignal } from './control-socket.ts';

export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly state: ContainerState;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly startedAt: string | undefined;
  readonly endedAt: string | undefined;
  readonly exitCode: number | undefined;
  readonly error: string | undefined;
  readonly ports: readonly PublishedPort[];
}

export type ContainerOptions = CommonOptions & { readonly name: string };

/** What killing leaves of an exit code: 128 + SIGKILL. */
const KILLED = 137;
const STOP_SECONDS = 10;

/** Newest first: those that run, or with `all` also those that have ended. */
export function listContainers(options: CommonOptions & { readonly which?: 'running' | 'all' } = {}): Promise<ContainerSummary[]> {
  const entries = listRecords(rootOf(options)).filter(({ state }) => options.which === 'all' || state === 'running');
  return Promise.resolve(entries.map(summaryOf));
}

/** Throws CONTAINER_NOT_FOUND, as all that follow. */
export function inspectContainer(options: ContainerOptions): Promise<ContainerSummary> {
  return Promise.resolve().then(() => summaryOf(findContainer(rootOf(options), options.name)));
}

/** What it wrote, in order; with `follow` until it ends. A container in the foreground has no log. */
export async function* containerLogs(options: ContainerOptions & { readonly follow?: 'until it ends' }): AsyncGenerator<LogEntry> {
  const entry = findContainer(rootOf(options), options.name);
  const follow = options.follow === undefined ? undefined : { hasEnded: () => hasEnded(entry), signal: options.signal };
  yield* readLog(entry.directory, follow);
}

/** Sends a signal; `signal` is a name or number. Throws CONTAINER_NOT_FOUND where it does not run. */
export async function killContainer(options: ContainerOptions & { readonly signalName?: string | undefined }): Promise<void> {
  const name = namedSignal(options.signalName ?? 'SIGKILL');
  if (name === undefined) throw new TsbuildError('USAGE', `Cannot send ${JSON.stringify(options.signalName)}: no such signal`);
  const entry = findContainer(rootOf(options), options.name);
  if (hasEnded(entry) || !(await sendSignal(entry.directory, name))) {
    throw new TsbuildError('CONTAINER_NOT_FOUND', `Cannot send ${name} to the container ${options.name}: it does not run`);
  }
}

/** Its stop signal (SIGTERM unless the image says otherwise), and SIGKILL after `seconds`; one that has ended is fine. */
export async function stopContainer(options: ContainerOptions & { readonly seconds?: number | undefined }): Promise<void> {
  const entry = findContainer(rootOf(options), options.name);
  if (hasEnded(entry)) return;
  await sendSignal(entry.directory, (namedSignal(entry.record.stopSignal) ?? 'SIGTERM') as NodeJS.Signals);
  const timeout = AbortSignal.timeout((options.seconds ?? STOP_SECONDS) * 1000);
  try {
    await untilEnded(entry, options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]));
  } catch (error) {
    if (!timeout.aborted || options.signal?.aborted === true) throw error;
    await killAndWait(entry, options.signal);
  }
}

/** Resolves to the exit code once it has ended; 137 where the process that ran it was killed. */
export async function waitForContainer(options: ContainerOptions): Promise<number> {
  const entry = findContainer(rootOf(options), options.name);
  const told = hasEnded(entry) ? undefined : await askExitCode(entry.directory, options.signal);
  await untilEnded(entry, options.signal);
  if (told !== undefined) return told;
  return (readRecord(entry.directory) ?? entry.record).exitCode ?? KILLED;
}

/** Takes away record and log. `force` kills it first; without it one that runs is CONTAINER_RUNNING. */
export async function removeContainer(options: ContainerOptions & { readonly force?: 'kill' | undefined }): Promise<void> {
  const root = rootOf(options);
  const entry = findContainer(root, options.name);
  if (!hasEnded(entry)) {
    if (options.force === undefined) {
      throw new TsbuildError('CONTAINER_RUNNING', `Cannot remove the container ${options.name}: it runs`, {
        hint: `Stop it first, tsbuild stop ${options.name}, or use --force.`,
      });
    }
    await killAndWait(entry, options.signal);
  }
  removeRecord(root, entry);
}

async function killAndWait(entry: ContainerEntry, signal: AbortSignal | undefined): Promise<void> {
  await sendSignal(entry.directory, 'SIGKILL');
  await untilEnded(entry, signal);
}

function summaryOf({ record, state }: ContainerEntry): ContainerSummary {
  const { id, name, image, command, createdAt, startedAt, endedAt, error, ports }: ContainerRecord = record;
  const exitCode = state === 'lost' ? KILLED : record.exitCode;
  return { id, name, image, command, state, createdAt, startedAt, endedAt, exitCode, error, ports };
}

function rootOf({ root = defaultRoot() }: CommonOptions): string {
  prepareStateDirectory(root);
  return root;
}
