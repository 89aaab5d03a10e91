/**
 * The state directory (`--root`): who owns it, what it holds, which version wrote it.
 *
 *     version           "1\n"
 *     lock              flock: shared while a process says what it uses, exclusive while something is removed; for moments only
 *     leases/RANDOM     what a process uses; it holds a flock on the file
 *     trash/RANDOM/     what is being deleted; its process holds a flock on the directory
 *     blobs/sha256/HEX  content by digest
 *     refs/NAME.json    image references
 *     origins/HEX.json  registries that are known to have a blob
 *     verified/HEX      blobs whose bytes were hashed since the machine started
 *     ingest/RANDOM/    unfinished files of one process, which holds a flock on the directory
 *     snapshots/ cache/ of the rooms with these names, containers/ of operations/run, builds/ of records
 */

import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { makeDirectories } from '../sys/make-directories.ts';
import { isCode } from './error-code.ts';

const VERSION = 1;
const VERSION_BYTES_MAX = 64;
const PRIVATE = 0o700;
const DIRECTORIES = ['blobs', 'blobs/sha256', 'refs', 'origins', 'verified', 'ingest', 'leases', 'trash'];
/** What a store that was never finished may hold besides `version`. */
const OWN = new Set([...DIRECTORIES, 'version', 'lock', 'snapshots', 'snapshots-userns', 'cache', 'containers', 'builds']);
const NOT_MADE = [
  ['EACCES', 'permission denied'],
  ['EPERM', 'not permitted'],
  ['EROFS', 'the file system is read-only'],
  ['ENOENT', 'the directory above it takes none'],
  ['ENAMETOOLONG', 'its path is too long'],
] as const;
const UNFINISHED_VERSION = /^\.version-[0-9a-f-]{36}$/;

/**
 * Makes `root` or checks that it is ours: a directory and no link, owned by the calling user, of a version we know; then
 * closes it to other users (CVE-2021-41091: image files may be setuid). Throws STORE_INVALID.
 */
export function prepareStateDirectory(root: string): void {
  makeRoot(root);
  const stat = lstatSync(root);
  checkOwner(root, stat);
  const version = readVersion(root);
  if (version === undefined) checkEmpty(root);
  if (version !== undefined && version !== String(VERSION)) refuseVersion(root, version);
  if ((stat.mode & 0o777) !== PRIVATE) chmodSync(root, PRIVATE);
  for (const name of DIRECTORIES) makePrivateDirectory(join(root, name));
  // Last: a directory without a version is one whose making was cut short, and is made again.
  if (version === undefined) writeVersion(root);
}

/** A directory with mode 0700 whatever the umask; one that is there already is fine. */
export function makePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: PRIVATE });
    chmodSync(path, PRIVATE);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  }
}

function makeRoot(root: string): void {
  try {
    makeDirectories(root, PRIVATE);
  } catch (cause) {
    if (isCode(cause, 'EEXIST') || isCode(cause, 'ENOTDIR')) refuse(root, 'not a directory');
    for (const [code, reason] of NOT_MADE) if (isCode(cause, code)) refuse(root, `it cannot be made: ${reason} (${code})`, cause);
    throw cause;
  }
}

function checkOwner(root: string, stat: Stats): void {
  if (stat.isSymbolicLink()) refuse(root, 'a symbolic link');
  if (!stat.isDirectory()) refuse(root, 'not a directory');
  const uid = process.geteuid?.();
  if (stat.uid !== uid) refuse(root, `owned by user ${stat.uid}, not by user ${uid}`);
}

/** Keeps `--root /home/me` from turning somebody's directory into a store. */
function checkEmpty(root: string): void {
  const foreign = readdirSync(root).find((name) => !OWN.has(name) && !UNFINISHED_VERSION.test(name));
  if (foreign !== undefined) refuse(root, `it holds ${JSON.stringify(foreign)}, and no version file of tsbuild`);
}

function readVersion(root: string): string | undefined {
  try {
    return readFileSync(join(root, 'version'), { encoding: 'latin1' }).slice(0, VERSION_BYTES_MAX).trim();
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    if (isCode(error, 'EACCES') || isCode(error, 'EISDIR')) return refuse(root, `its version file cannot be read (${error.code})`, error);
    throw error;
  }
}

function refuseVersion(root: string, version: string): never {
  const newer = /^[0-9]{1,9}$/.test(version) && Number(version) > VERSION;
  throw new TsbuildError(
    'STORE_INVALID',
    newer
      ? `Cannot use the state directory ${root}: a newer tsbuild wrote it (store version ${version}, this tsbuild knows ${VERSION})`
      : `Cannot use the state directory ${root}: its version file holds ${JSON.stringify(version)}`,
    { hint: newer ? 'Install a newer tsbuild, or name another directory with --root.' : 'Name another directory with --root.' },
  );
}

function writeVersion(root: string): void {
  const temporary = join(root, `.version-${randomUUID()}`);
  writeFileSync(temporary, `${VERSION}\n`, { mode: 0o600, flag: 'wx', flush: true });
  renameSync(temporary, join(root, 'version'));
  const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function refuse(root: string, reason: string, cause?: unknown): never {
  throw new TsbuildError('STORE_INVALID', `Cannot use the state directory ${root}: ${reason}`, {
    hint: 'Name a directory of your own, or one that does not exist yet, with --root.',
    cause,
  });
}
