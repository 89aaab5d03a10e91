/** The cache mounts that steps of a build name, as blobs of the store: what is here, else what a remote cache has of them. */
import { lstatSync } from 'node:fs';
import { discardCache } from '../builder/execute/cache-mount.ts';
import type { Packing } from '../builder/execute/pack-snapshot.ts';
import type { BuildResources } from '../builder/execute/resources.ts';
import { type HeldCache, holdCache } from '../cache/cache-mounts.ts';
import { MOUNT_BYTES_MAX, type PortableMount } from '../cache/portable-mount.ts';
import { TsbuildError } from '../errors.ts';
import { packLayer } from '../layers/pack-layer.ts';
import { openMergedTree } from '../snapshots/merged-tree.ts';
import { openDirectory } from '../sys/open.ts';
import { fromText } from '../tree/byte-string.ts';
import { wholeTree } from '../tree/whole-tree.ts';

/** One that is too large, or holds what no archive can, is left out with a warning. */
export async function exportMounts(resources: BuildResources, packing: Packing): Promise<PortableMount[]> {
  const mounts: PortableMount[] = [];
  for (const [name, id] of resources.usedMounts?.list() ?? []) {
    try {
      const mount = (await packMount(resources, { name, id }, packing)) ?? resources.imports?.mount(name)?.mount;
      if (mount !== undefined) mounts.push(mount);
    } catch (error) {
      if (resources.signal.aborted || !(error instanceof TsbuildError) || error.code === 'ERR_TSBUILD_NO_SPACE') throw error;
      const message = `Left the cache mount ${JSON.stringify(id.slice(0, 200))} out of the cache: ${error.message}`;
      resources.emit({ kind: 'warning', message });
    }
  }
  return mounts;
}

/** While nobody else uses it; undefined where it is not there or empty. */
async function packMount(
  resources: BuildResources,
  { name, id }: { readonly name: string; readonly id: string },
  packing: Packing,
): Promise<PortableMount | undefined> {
  using held = await holdCache(resources.store.root, name, {
    signal: resources.signal,
    discard: (directory) => discardCache(resources, directory, JSON.stringify(id.slice(0, 200))),
    onWait: () => resources.emit({ kind: 'warning', message: 'Waiting for a cache mount that is to be exported: a step uses it' }),
  });
  return held === undefined ? undefined : await packHeld(resources, held, { name, packing });
}

async function packHeld(
  { signal, store }: BuildResources,
  { directory }: Pick<HeldCache, 'directory'>,
  { name, packing }: { readonly name: string; readonly packing: Packing },
): Promise<PortableMount | undefined> {
  using tree = openMergedTree({ layers: [openDirectory(fromText(directory))], top: 'fixed' });
  const [, ...changes] = wholeTree(tree);
  if (changes.length === 0) return undefined;
  await using ingest = await store.content.ingest();
  const onProgress = (bytes: number): void => {
    if (bytes > MOUNT_BYTES_MAX) throw new TsbuildError('CACHE_FAILED', `it is larger than ${MOUNT_BYTES_MAX} bytes`);
  };
  const { diffId, size, mediaType } = await packLayer(changes, ingest, { ...packing, signal, onProgress });
  const { digest } = await ingest.commit({ size });
  const { mode, uid, gid } = lstatSync(directory);
  return { name, descriptor: { mediaType, digest, size }, diffId, mode: mode & 0o7777, uid, gid };
}
