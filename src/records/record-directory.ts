/**
 * Where records lie: `<root>/builds/<id>/`.
 *
 *     events.part   the lines of a build that runs; its process holds a flock on the file
 *     events        the same, finished: the rename is what finishes it
 *     log-<n>       what the n-th step of the plan wrote
 *     pinned        kept until somebody removes it
 *     page.html     what `builds open` made
 *
 * A directory appears, with its lock held, by a rename from `.new-<id>`, and goes by one to `.gone-<id>`. Who makes one holds a shared
 * flock on `builds` meanwhile: who has that alone knows that each `.new-<id>` is a crash's.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { insist, type LockKind, lockFile, lockNew } from '../sys/lock.ts';

export const PART = 'events.part';
export const FINISHED = 'events';
export const PINNED = 'pinned';
export const PAGE = 'page.html';

const ID = /^\d{8}-\d{9}-[0-9a-f]{6}$/;
const CREATE = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export interface NewRecord {
  readonly id: string;
  readonly directory: string;
  /** Of `events.part`, locked and open for appending; the caller closes it. */
  readonly fd: number;
}

export function recordsIn(root: string): string {
  return join(root, 'builds');
}

export function isRecordId(name: string): boolean {
  return ID.test(name);
}

/** Ids, the newest first; none where there is no such directory. */
export function recordIds(root: string): string[] {
  return idsOf(namesIn(recordsIn(root)));
}

export function idsOf(names: readonly string[]): string[] {
  return names.filter(isRecordId).sort().reverse();
}

export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

export function makeRecord(root: string, now: Date): NewRecord {
  const records = recordsIn(root);
  mkdirSync(records, { recursive: true, mode: 0o700 });
  using _making = lockWaiting(records);
  const { id, hidden, fd } = lockNew(records, () => {
    const id = `${idTime(now)}-${randomBytes(3).toString('hex')}`;
    const hidden = join(records, `.new-${id}`);
    mkdirSync(hidden, { mode: 0o700 });
    return { id, hidden, fd: openSync(join(hidden, PART), CREATE, 0o600) };
  });
  const directory = join(records, id);
  try {
    renameSync(hidden, directory);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { id, directory, fd };
}

/** Held by others for as long as it takes to remove a few files. */
function lockWaiting(directory: string): Disposable {
  const lock = insist(() => lockDirectory(directory, 'shared'), { everyMs: 2, patienceMs: 10_000 });
  if (lock !== undefined) return lock;
  throw new Error(`Cannot lock ${directory}: another process has held it for ten seconds`);
}

/** undefined where another process is in the way, or there is no such directory. */
export function lockDirectory(directory: string, how: LockKind): Disposable | undefined {
  let fd: number;
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  if (lockFile(fd, how)) return { [Symbol.dispose]: () => closeSync(fd) };
  closeSync(fd);
  return undefined;
}

/** How an id begins that was made then. */
export function idTime(time: Date): string {
  return time
    .toISOString()
    .replace(/[-:.Z]/g, '')
    .replace('T', '-');
}

/** `finished`, whatever came of it; `running` while its process holds the lock. `gone` where somebody took it away. */
export function lifeOf(directory: string): 'finished' | 'running' | 'interrupted' | 'gone' {
  if (existsSync(join(directory, FINISHED))) return 'finished';
  let fd: number;
  try {
    fd = openSync(join(directory, PART), constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if (!isMissing(error)) throw error;
    return existsSync(join(directory, FINISHED)) ? 'finished' : 'gone';
  }
  try {
    if (!lockFile(fd, 'shared')) return 'running';
    return existsSync(join(directory, FINISHED)) ? 'finished' : 'interrupted';
  } finally {
    closeSync(fd);
  }
}

/** One rename decides; another process that does the same is fine. */
export function removeRecord(root: string, id: string): void {
  const records = recordsIn(root);
  const gone = join(records, `.gone-${id}`);
  try {
    renameSync(join(records, id), gone);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  removeFlat(gone);
}

/** Names of files in a directory that has no others. Much less to load and to do than a recursive removal. */
export function removeFlat(directory: string): void {
  for (const name of namesIn(directory)) attempt(() => unlinkSync(join(directory, name)));
  attempt(() => rmdirSync(directory));
}

/** What is gone already, or is being removed by another process, is fine. */
function attempt(remove: () => void): void {
  try {
    remove();
  } catch (error) {
    if (!isMissing(error) && !(error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY')) throw error;
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
