/**
 * Whether the files of a cache mount are as the last step left them. The seal is what stat said of all of them when nobody used them any
 * more; who takes the cache next compares it, and takes it away for as long as it writes. Contents are not read: whatever writes to a file
 * changes its times. It is the target of a symbolic link, so that no crash leaves half of it.
 */
import { createHash } from 'node:crypto';
import { fstatSync, lstatSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { errorCodeOf, SyscallError } from '../errors.ts';
import { AT_FDCWD } from '../sys/open.ts';
import { birthTimeAt, statAt } from '../sys/stat.ts';
import { treeFactsAside } from '../sys/tree-facts.ts';
import { fromText } from '../tree/byte-string.ts';

/** `directory/data` is the cache. */
export interface SealedPlace {
  readonly directory: string;
  /** Of its lock, which is held. Whoever takes it sets its time, versions without seals, too. */
  readonly lockFd: number;
}

export function isSealed(directory: string): boolean {
  return lstatSync(sealOf(directory), { throwIfNoEntry: false }) !== undefined;
}

/** The lock is held exclusively, and nothing of the cache is being written. Where it cannot be looked through, or the disk is full, it gets none. */
export async function writeSeal(place: SealedPlace): Promise<void> {
  try {
    const seal = await sealNow(place);
    breakSeal(place.directory);
    symlinkSync(seal, sealOf(place.directory));
  } catch (error) {
    // The step is done, and its cache goes without.
    if (!(error instanceof SyscallError) && errorCodeOf(error) === undefined) throw error;
  }
}

/** true also where there is none, or that of other files: of a copy, or before a version that knows no seals used the cache. */
export async function isAsSealed(place: SealedPlace): Promise<boolean> {
  const seal = readSeal(place.directory);
  const [version, whose, facts] = seal?.split(':') ?? [];
  if (version !== VERSION || whose !== identityOf(place)) return true;
  try {
    return facts === (await factsOf(place));
  } catch (error) {
    if (error instanceof SyscallError && LOST.has(error.errno)) return false;
    throw error;
  }
}

export function breakSeal(directory: string): void {
  rmSync(sealOf(directory), { force: true });
}

/** Of files that the disk does not give back any more. */
const LOST: ReadonlySet<string> = new Set(['EIO', 'EUCLEAN', 'EBADMSG', 'ENOENT', 'ENOTDIR']);
const VERSION = '1';
const IDENTITY_LENGTH = 16;

async function sealNow(place: SealedPlace): Promise<string> {
  return [VERSION, identityOf(place), await factsOf(place)].join(':');
}

async function factsOf({ directory }: SealedPlace): Promise<string> {
  return (await treeFactsAside(fromText(path.join(directory, 'data')))).all.toString(16);
}

/** Of these very files and their last user. A copy of a state directory has others, though it may have the same inodes. */
function identityOf({ directory, lockFd }: SealedPlace): string | undefined {
  const data = fromText(path.join(directory, 'data'));
  const stat = statAt(AT_FDCWD, data);
  if (stat === undefined) return undefined;
  const { mtimeNs } = fstatSync(lockFd, { bigint: true });
  const facts = [stat.dev, stat.ino, birthTimeAt(AT_FDCWD, data), mtimeNs];
  return createHash('sha256').update(facts.join()).digest('hex').slice(0, IDENTITY_LENGTH);
}

function sealOf(directory: string): string {
  return path.join(directory, 'seal');
}

function readSeal(directory: string): string | undefined {
  try {
    return readlinkSync(sealOf(directory));
  } catch (error) {
    // EINVAL: it is no link any more.
    if (errorCodeOf(error) === 'ENOENT' || errorCodeOf(error) === 'EINVAL') return undefined;
    throw error;
  }
}
