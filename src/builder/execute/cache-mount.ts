/** `RUN --mount=type=cache`: a directory that stays from build to build, and is no part of any result. */
import { createHash } from 'node:crypto';
import { closeSync, constants } from 'node:fs';
import path from 'node:path';
import { type HeldCache, takeCache } from '../../cache/cache-mounts.ts';
import type { CacheSharing } from '../../cache/mount-lock.ts';
import { SyscallError, TsbuildError } from '../../errors.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import type { CacheMount } from '../../parser/mount.ts';
import type { Isolation } from '../../sandbox/chroot-isolation.ts';
import type { MountSpec } from '../../sandbox/container-spec.ts';
import { openMergedTree } from '../../snapshots/merged-tree.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { openTrash } from '../../store/trash.ts';
import { O_PATH, openDirectory, openInRoot } from '../../sys/open.ts';
import { fromText } from '../../tree/byte-string.ts';
import type { Change } from '../../tree/change.ts';
import { resolvePath } from '../../tree/resolve.ts';
import { openMountSource, sourceIdentity, wholeCopy } from './bind-mount.ts';
import { findSource } from './copy-sources.ts';
import { fillFromElsewhere } from './imported-mount.ts';
import type { BuildResources } from './resources.ts';
import type { MountPlace, RunMount } from './run-mounts.ts';
import type { StageRun } from './stage-run.ts';
import { copyPart } from './working-tree.ts';

type BindSpec = Extract<MountSpec, { kind: 'bind' }>;
type Cache = Omit<MountPlace, 'number'> & { readonly mount: CacheMount };

/** All caches of a step: it takes each once, in one order for all steps, so that two steps never wait for each other. */
export function cacheMounts(run: StageRun, caches: readonly Cache[]): RunMount {
  return {
    // Neither contents nor how they are shared can change what a step is meant to make. What a cache starts from is waited for
    // here: a step that runs must not wait for another to be run.
    async identity() {
      const all: string[] = [];
      for (const cache of caches) {
        const { mount, target, from } = cache;
        run.resources.usedMounts?.add(await cacheName(run, cache), mount.id ?? target);
        const seed = from === undefined ? [] : await sourceIdentity(run, from, path.posix.join('/', mount.source));
        all.push('cache', target, mount.id ?? '', mount.source, mount.access, String(seed.length), ...seed);
      }
      return all;
    },
    async open(active) {
      const named: (Cache & { readonly name: string })[] = [];
      for (const cache of caches) named.push({ ...cache, name: await cacheName(run, cache) });
      const held = new Map<string, HeldCache>();
      const release = async (): Promise<void> => {
        const all = [...held.values()];
        held.clear();
        await Promise.all(all.map(async (cache) => await cache[Symbol.asyncDispose]()));
      };
      try {
        for (const name of [...new Set(named.map((cache) => cache.name))].sort()) held.set(name, await take(run, name, named));
        const specs: MountSpec[] = [];
        for (const cache of named) specs.push(await protectedSpec(run, active, specOf(cache, held.get(cache.name)?.directory ?? '')));
        return { specs, env: new Map(), [Symbol.asyncDispose]: release };
      } catch (error) {
        await release();
        throw error;
      }
    },
  };
}

/** Ids are the Dockerfile's, and become a name by their hash. Where a cache starts from, and who owns it, tells it from others as well. */
async function cacheName(run: StageRun, { mount, target, from }: Cache): Promise<string> {
  const { owner, id = target } = mount;
  const namespace = run.plan.args.buildArgs.get('BUILDKIT_CACHE_MOUNT_NS') ?? '';
  const seed = from === undefined ? [] : await sourceIdentity(run, from, path.posix.join('/', mount.source));
  const ownership = owner === undefined ? [] : [owner.mode, owner.uid, owner.gid].map(String);
  return createHash('sha256')
    .update(JSON.stringify(['tsbuild-cache-1', namespace, id, seed, ownership]))
    .digest('hex');
}

async function take(run: StageRun, name: string, caches: readonly (Cache & { readonly name: string })[]): Promise<HeldCache> {
  const same = caches.filter((cache) => cache.name === name);
  const [first] = same;
  if (first === undefined) throw new Error(`No cache is called ${name}`);
  const { emit, imports, isolation, signal, store } = run.resources;
  const called = first.mount.id ?? first.target;
  const elsewhere = imports?.mount(name);
  return await takeCache(store.root, {
    ...{ name, id: called, sharing: sharingOf(same, isolation), signal, refillsEmpty: elsewhere !== undefined },
    discard: (directory) => discardCache(run.resources, directory, `${JSON.stringify(called)} at ${first.target}`),
    onWait: () => emit({ kind: 'warning', message: `Waiting for the cache ${JSON.stringify(called)}: another step uses it` }),
    async fill(fd) {
      if (elsewhere !== undefined && (await fillFromElsewhere(run.resources, fd, { ...elsewhere, id: called }))) return elsewhere.mount;
      return await fill(run, fd, first);
    },
  });
}

/** `called`: what it is, for the warning. */
export function discardCache({ emit, store }: Pick<BuildResources, 'emit' | 'store'>, directory: string, called: string): void {
  emit({ kind: 'warning', message: `The disk has changed files of the cache mount ${called}: it starts anew` });
  const trash = openTrash(store.root);
  trash.take(directory);
  try {
    trash[Symbol.dispose]();
  } catch (error) {
    // What a failing disk does not delete stays there, and the next command tries again.
    if (!(error instanceof SyscallError)) throw error;
  }
}

/** In a chroot the directory itself is put into the files of the step, so that it is nowhere else. */
function sharingOf(same: readonly Cache[], isolation: Isolation): CacheSharing {
  const sharing = strictest(same.map(({ mount }) => mount.sharing));
  return sharing === 'shared' && isolation === 'chroot' ? 'locked' : sharing;
}

function strictest(all: readonly CacheSharing[]): CacheSharing {
  return all.find((sharing) => sharing === 'locked') ?? all.find((sharing) => sharing === 'private') ?? 'shared';
}

/** A new cache is empty, or starts as a copy of a directory of a stage, an image or a context. */
async function fill(run: StageRun, fd: number, { mount, target, from }: Cache): Promise<{ mode: number; uid: number; gid: number }> {
  const usual = { mode: 0o755, uid: 0, gid: 0 };
  if (from === undefined) return { ...usual, ...mount.owner };
  const { emit, signal } = run.resources;
  const { tree, source } = await openMountSource(run, from, path.posix.join('/', mount.source));
  try {
    const found = findSource(tree, fromText(source));
    if (found?.node.type !== 'directory') {
      throw new TsbuildError('MOUNT_INVALID', `Cannot start a cache from ${JSON.stringify(mount.source)}: it is no directory`);
    }
    await applyChanges(contentOnly(wholeCopy(tree, [found])), fd, {
      signal,
      losses: { emit, of: `the cache mount ${JSON.stringify(mount.id ?? target)}` },
    });
    const { mode, uid, gid } = found.node;
    return { mode, uid, gid, ...mount.owner };
  } finally {
    tree[Symbol.dispose]();
  }
}

/** `source/a` → `a`. */
function* contentOnly(changes: Iterable<Change>): Generator<Change> {
  for (const change of changes) {
    const slash = change.path.indexOf('/');
    if (slash === -1) continue;
    const inside = <T extends string>(text: T): T => text.slice(slash + 1) as T;
    const moved = { ...change, path: inside(change.path) };
    yield moved.kind === 'add' && moved.hardLinkTo !== undefined ? { ...moved, hardLinkTo: inside(moved.hardLinkTo) } : moved;
  }
}

/** Where no mount is read-only, the step gets a copy, so that what it writes is lost. */
async function protectedSpec({ resources }: StageRun, active: ActiveSnapshot, spec: BindSpec): Promise<BindSpec> {
  if (resources.isolation !== 'chroot' || spec.access === 'read-write') return spec;
  const { source = '/', ...mount } = spec;
  using tree = openMergedTree({ layers: [openDirectory(fromText(spec.hostPath))], top: 'fixed' });
  const from = resolvePath(tree, fromText(source), 'follow').path;
  return { ...mount, hostPath: await copyPart(resources, active, { tree, from }) };
}

function specOf({ mount, target, from }: Cache, hostPath: string): BindSpec {
  const { access } = mount;
  const source = path.posix.join('/', mount.source);
  if (from !== undefined || source === '/') return { kind: 'bind', target, hostPath, access };
  needDirectory(hostPath, source, mount.id ?? target);
  return { kind: 'bind', target, hostPath, source, access };
}

function needDirectory(cache: string, source: string, id: string): void {
  const root = openDirectory(fromText(cache));
  try {
    closeSync(openInRoot(root, fromText(source), O_PATH | constants.O_DIRECTORY));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new TsbuildError('MOUNT_INVALID', `Cannot mount ${JSON.stringify(source)} of the cache ${JSON.stringify(id)}: ${error.errno}`, {
      cause: error,
    });
  } finally {
    closeSync(root);
  }
}
