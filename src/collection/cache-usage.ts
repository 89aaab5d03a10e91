/** What lies in `cache/` beside records of steps, and what is no part of the cache at all. */
import { closeSync, constants, existsSync, lstatSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { milliseconds } from '../clock.ts';
import type { Pins } from '../store/leases.ts';
import { diskBytes } from '../sys/disk-bytes.ts';
import { readIfThere } from '../sys/if-there.ts';
import { lockFile } from '../sys/lock.ts';
import type { UsageItem, UsageKind } from './usage-entry.ts';

type Bare = Pick<UsageItem, 'kind' | 'id' | 'description' | 'bytes' | 'createdAt' | 'usedAt' | 'key' | 'place'>;

interface Asking {
  readonly root: string;
  readonly pins: Pins;
  readonly signal: AbortSignal;
  /** As milliseconds() tells it: after it nothing is measured. */
  readonly until: number;
}

const KEY = /^[a-f0-9]{64}$/;

export async function cacheUsage(asking: Asking): Promise<UsageItem[]> {
  return [
    ...(await cacheMountUsage(asking)),
    ...downloadUsage(asking),
    ...(await repositoryUsage(asking)),
    ...contextUsage(asking),
    ...(await otherUsage(asking)),
  ];
}

function item(bare: Bare, use: 'in use' | 'free' | 'kept'): UsageItem {
  const inUse = use === 'in use';
  return { ...bare, usedBy: inUse ? ['a running command'] : [], shared: false, inUse, reclaimable: use === 'free', parent: undefined };
}

/** One for each slot: several steps that want a private one at a time have several. */
async function cacheMountUsage(asking: Asking): Promise<UsageItem[]> {
  const mounts = path.join(asking.root, 'cache', 'mounts');
  const items: UsageItem[] = [];
  for (const name of keysIn(mounts)) {
    for (const slot of namesIn(path.join(mounts, name))) {
      const directory = path.join(mounts, name, slot);
      const id = slot === '0' ? name : `${name}.${slot}`;
      const description = readIfThere(path.join(directory, 'id')) ?? '';
      const found = await lockedDirectory('cache-mount', { id, description, directory }, asking);
      // Without data somebody is making it, or has it in the files of a step.
      if (found !== undefined) items.push(existsSync(path.join(directory, 'data')) ? found : { ...found, reclaimable: false });
    }
  }
  return items;
}

async function repositoryUsage(asking: Asking): Promise<UsageItem[]> {
  const repositories = path.join(asking.root, 'cache', 'git');
  const items: UsageItem[] = [];
  for (const id of keysIn(repositories)) {
    const directory = path.join(repositories, id);
    const found = await lockedDirectory(
      'git-repository',
      { id, description: readIfThere(path.join(directory, 'remote')) ?? '', directory },
      asking,
    );
    if (found !== undefined) items.push(found);
  }
  return items;
}

async function lockedDirectory(
  kind: UsageKind,
  { id, description, directory }: { readonly id: string; readonly description: string; readonly directory: string },
  asking: Asking,
): Promise<UsageItem | undefined> {
  const lock = path.join(directory, 'lock');
  const stat = lstatSync(lock, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const inUse = isLocked(lock);
  const bytes = await sizeOf(directory, inUse ? undefined : String(stat.mtimeMs), asking);
  const bare = { ...{ kind, id, description, bytes, createdAt: stat.birthtimeMs || undefined, usedAt: stat.mtimeMs }, key: directory };
  return item({ ...bare, place: { kind: 'locked', directory } }, inUse ? 'in use' : 'free');
}

/** Measured once for each use: `state` is the time of the last one; undefined while it changes. */
async function sizeOf(directory: string, state: string | undefined, { signal, until }: Asking): Promise<number> {
  const file = path.join(directory, 'size');
  const [of, known = ''] = (readIfThere(file) ?? '').split(' ');
  const last = /^\d+\n$/.test(known) ? Number(known) : undefined;
  if (milliseconds() > until || (state !== undefined && of === state && last !== undefined)) return last ?? 0;
  const bytes = await diskBytes(directory, signal);
  if (state === undefined) return bytes;
  try {
    // One that a kill tears has no end.
    writeFileSync(file, `${state} ${bytes}\n`, { mode: 0o600 });
  } catch {
    // Removed meanwhile, or the disk is full: it is measured again.
  }
  return bytes;
}

function downloadUsage({ root, pins }: Asking): UsageItem[] {
  const files = path.join(root, 'cache', 'downloads', 'files');
  return keysIn(files).flatMap((digest) => {
    const bare = fileUsage('download', { id: digest, path: path.join(files, digest), pin: digest });
    return bare === undefined ? [] : [item(bare, pins.has('download', digest) ? 'in use' : 'free')];
  });
}

/** What is known of the files of a directory that is a build context. */
function contextUsage({ root }: Asking): UsageItem[] {
  const contexts = path.join(root, 'cache', 'contexts');
  return keysIn(contexts).flatMap((key) => {
    const bare = fileUsage('context-index', { id: key, path: path.join(contexts, key), pin: undefined });
    return bare === undefined ? [] : [item(bare, 'free')];
  });
}

function fileUsage(kind: UsageKind, { id, path: file, pin }: { id: string; path: string; pin: string | undefined }): Bare | undefined {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const times = { createdAt: stat.birthtimeMs || undefined, usedAt: stat.mtimeMs };
  return { kind, id, description: '', bytes: stat.blocks * 512, ...times, key: file, place: { kind: 'file', path: file, pin } };
}

/** Directories that are told as one: they go with what they are about, or with their process. */
const OTHERS: readonly (readonly [kind: UsageKind, description: string, directories: readonly string[]])[] = [
  [
    ...(['records', 'what the cache knows'] as const),
    ['steps', 'layers', 'accounts', 'running', 'code', 'estimate']
      .map((name) => `cache/${name}`)
      .concat('origins', 'verified', 'refs', 'leases', 'builds'),
  ],
  ['unfinished', 'of commands that run', ['ingest', 'trash']],
  ['container', 'records and logs', ['containers']],
];

async function otherUsage({ root, signal, until }: Asking): Promise<UsageItem[]> {
  const items: UsageItem[] = [];
  for (const [kind, description, directories] of OTHERS) {
    let bytes = 0;
    if (milliseconds() > until) break;
    for (const directory of directories) bytes += await diskBytes(path.join(root, directory), signal);
    if (bytes === 0) continue;
    items.push(
      item({ ...{ kind, id: kind, description, bytes, createdAt: undefined, usedAt: Date.now() }, key: kind, place: undefined }, 'kept'),
    );
  }
  return items;
}

function isLocked(file: string): boolean {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    return !lockFile(fd, 'exclusive');
  } finally {
    closeSync(fd);
  }
}

function keysIn(directory: string): string[] {
  return namesIn(directory).filter((name) => KEY.test(name));
}

/** None where it is gone. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
