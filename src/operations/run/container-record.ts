/**
 * What is known of a container of `tsbuild run`, in `<root>/containers/<id>/`:
 *
 *     container.json   the record; replaced by a rename
 *     log, log.1       what it wrote, where it runs in the background (container-log.ts)
 *     control          a socket to the process that runs it (control-socket.ts)
 *
 * That process holds a flock on the directory: where nobody does, the container has ended, whatever the record says.
 * `containers/lock` is held for the few calls that make, name or remove one.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { TsbuildError } from '../../errors.ts';
import { type HeldLock, lockBriefly } from '../../snapshots/locks.ts';
import { isCode } from '../../store/error-code.ts';
import { makePrivateDirectory } from '../../store/state-directory.ts';
import { openIfThere } from '../../sys/if-there.ts';
import { lockFile, lockNew, waitForLock } from '../../sys/lock.ts';

/** `tcp` or `udp`; `address` and `hostPort` are this machine's. */
export interface PublishedPort {
  readonly address: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
}

/** Another container joins a network through the process that holds it. */
export interface NetworkHolder {
  readonly pid: number;
  /** `pid:[…]`: the numbers count only there. */
  readonly pidNamespace: string;
  /** `user:[…]` */
  readonly userNamespace: string;
  readonly fd: number;
  readonly resolvConf: string;
}

export interface ContainerRecord {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  /** RFC 3339, as all times. */
  readonly createdAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  /** 128+n for a signal. */
  readonly exitCode?: number;
  /** Why it ended, or never started, where its command does not tell. */
  readonly error?: string;
  readonly ports: readonly PublishedPort[];
  /** What `stop` sends. */
  readonly stopSignal: string;
  readonly network?: NetworkHolder;
  /** `until it ends`: what is left of it was left by a crash. */
  readonly kept: 'until removed' | 'until it ends';
}

/** `lost`: the process that ran it was killed, and the container with it. */
export type ContainerState = 'created' | 'running' | 'exited' | 'lost';

export interface ContainerEntry {
  readonly record: ContainerRecord;
  readonly state: ContainerState;
  readonly directory: string;
}

/** The container of this process. Disposing lets go of it: it counts as ended then. */
export interface HeldContainer extends Disposable {
  readonly directory: string;
  readonly record: ContainerRecord;
  update(changes: Partial<ContainerRecord>): void;
  remove(): void;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
const ID = /^[0-9a-f]{64}$/;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const RECORD_BYTES_MAX = 4 << 20;

/** `name` undefined is the beginning of the id. Throws USAGE for a name that is taken or none. */
export function createContainer(
  root: string,
  given: Omit<ContainerRecord, 'id' | 'name' | 'createdAt' | 'ports'> & { readonly name: string | undefined },
): HeldContainer {
  using _lock = lockContainers(root);
  const all = readAll(root); // which removes what a crash left, too
  if (given.name !== undefined) checkName(given.name, all);
  const { id, directory, fd } = lockNew(join(root, 'containers'), () => {
    const id = randomBytes(32).toString('hex');
    const directory = join(root, 'containers', id);
    mkdirSync(directory, { mode: 0o700 });
    return { id, directory, fd: openSync(directory, DIRECTORY) };
  });
  const name = given.name ?? id.slice(0, 12);
  const record = { ...given, id, name, createdAt: new Date().toISOString(), ports: [] };
  writeRecord(directory, record);
  return holdContainer(root, directory, { fd, record });
}

function checkName(name: string, all: readonly ContainerEntry[]): void {
  if (!NAME.test(name)) {
    throw new TsbuildError('USAGE', `Cannot name a container ${JSON.stringify(name)}: letters, digits, _, . and - are allowed`);
  }
  const taken = all.find(({ record }) => record.name === name);
  if (taken === undefined) return;
  throw new TsbuildError('USAGE', `Cannot name a container ${name}: ${taken.record.id.slice(0, 12)} has that name`, {
    hint: `Choose another name, or remove that one: tsbuild rm ${name}.`,
  });
}

/** Newest first. Removes what a crash left unfinished. */
export function listRecords(root: string): ContainerEntry[] {
  if (!existsSync(join(root, 'containers'))) return [];
  using _lock = lockContainers(root);
  return readAll(root).sort((a, b) => (a.record.createdAt < b.record.createdAt ? 1 : -1));
}

/** By name, id, or the beginning of an id. Throws CONTAINER_NOT_FOUND. */
export function findContainer(root: string, name: string): ContainerEntry {
  const all = listRecords(root);
  const named = all.find(({ record }) => record.name === name || record.id === name);
  if (named !== undefined) return named;
  const [first, second] = /^[0-9a-f]+$/.test(name) ? all.filter(({ record }) => record.id.startsWith(name)) : [];
  if (first !== undefined && second === undefined) return first;
  const reason = first === undefined ? 'there is none of that name or id' : 'several ids begin like that';
  throw new TsbuildError('CONTAINER_NOT_FOUND', `Cannot find the container ${JSON.stringify(name)}: ${reason}`, {
    hint: '`tsbuild ps -a` lists them.',
  });
}

/** Resolves when the container has ended; false where `signal` was faster. Throws what that says unless it is a timeout. */
export async function untilEnded({ directory }: ContainerEntry, signal: AbortSignal | undefined): Promise<void> {
  const fd = openIfThere(directory, DIRECTORY);
  if (fd === undefined) return;
  try {
    await waitForLock(fd, 'shared', signal);
  } finally {
    closeSync(fd);
  }
}

/** Whether it still runs: asked anew. */
export function hasEnded({ directory }: ContainerEntry): boolean {
  const fd = openIfThere(directory, DIRECTORY);
  if (fd === undefined) return true;
  try {
    return lockFile(fd, 'shared');
  } finally {
    closeSync(fd);
  }
}

/** Of a container that has ended. */
export function removeRecord(root: string, { directory }: ContainerEntry): void {
  using _lock = lockContainers(root);
  rmSync(directory, { recursive: true, force: true });
}

export function readRecord(directory: string): ContainerRecord | undefined {
  try {
    const text = readFileSync(join(directory, 'container.json'), 'utf8');
    return text.length > RECORD_BYTES_MAX ? undefined : (JSON.parse(text) as ContainerRecord);
  } catch (error) {
    if (isCode(error, 'ENOENT') || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function holdContainer(root: string, directory: string, start: { fd: number; record: ContainerRecord }): HeldContainer {
  let { record } = start;
  let held = true;
  const release = (): void => {
    if (held) closeSync(start.fd);
    held = false;
  };
  return {
    directory,
    get record() {
      return record;
    },
    update(changes) {
      record = { ...record, ...changes };
      writeRecord(directory, record);
    },
    remove() {
      using _lock = lockContainers(root);
      rmSync(directory, { recursive: true, force: true });
      release();
    },
    [Symbol.dispose]: release,
  };
}

function lockContainers(root: string): HeldLock {
  makePrivateDirectory(join(root, 'containers'));
  return lockBriefly(join(root, 'containers', 'lock'), 'exclusive');
}

function readAll(root: string): ContainerEntry[] {
  const base = join(root, 'containers');
  return readdirSync(base).flatMap((name) => {
    if (!ID.test(name)) return [];
    const directory = join(base, name);
    const record = readRecord(directory);
    const state = record === undefined ? 'lost' : stateOf(directory, record);
    const isLeft = record === undefined || (record.kept === 'until it ends' && (state === 'lost' || state === 'exited'));
    if (!isLeft) return [{ record, state, directory }];
    // Under the lock nobody is making it.
    rmSync(directory, { recursive: true, force: true });
    return [];
  });
}

function stateOf(directory: string, record: ContainerRecord): ContainerState {
  if (record.endedAt !== undefined) return 'exited';
  const fd = openIfThere(directory, DIRECTORY);
  if (fd === undefined) return 'lost';
  try {
    if (lockFile(fd, 'shared')) return 'lost';
    return record.startedAt === undefined ? 'created' : 'running';
  } finally {
    closeSync(fd);
  }
}

function writeRecord(directory: string, record: ContainerRecord): void {
  const temporary = join(directory, '.container.json');
  writeFileSync(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  renameSync(temporary, join(directory, 'container.json'));
}
