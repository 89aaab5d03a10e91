/** A cache mount that starts as what it was elsewhere. What is broken there is a warning, and the mount starts empty. */
import type { PortableMount } from '../../cache/portable-mount.ts';
import { MOUNT_BYTES_MAX } from '../../cache/portable-mount.ts';
import { TsbuildError } from '../../errors.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import { readLayer } from '../../layers/read-layer.ts';
import type { Digest } from '../../oci/digest.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import { listDirectory } from '../../sys/stat.ts';
import type { Change } from '../../tree/change.ts';
import { isOfTheLayer } from './packed-layer.ts';
import type { BuildResources } from './resources.ts';

const ENTRIES_MAX = 5_000_000;

/** Into the empty directory `fd`; false, and still empty, where nothing came of it. */
export async function fillFromElsewhere(
  resources: BuildResources,
  fd: number,
  { mount, from, id }: { readonly mount: PortableMount; readonly from: string; readonly id: string },
): Promise<boolean> {
  const called = `the cache mount ${JSON.stringify(id.slice(0, 200))}`;
  try {
    await unpackMount(resources, fd, mount, called);
    return true;
  } catch (error) {
    if (resources.signal.aborted || !(error instanceof TsbuildError) || !isOfTheLayer(error)) throw error;
    for (const name of listDirectory(fd)) removeTree(fd, name);
    const message = `Starting ${called} without what the cache ${from} has of it: ${error.message}`;
    resources.emit({ kind: 'warning', message });
    return false;
  }
}

async function unpackMount(resources: BuildResources, fd: number, { descriptor, diffId }: PortableMount, called: string): Promise<void> {
  const { emit, imports, signal, store } = resources;
  await imports?.fetch(descriptor, signal);
  const found: { diffId?: Digest } = {};
  const changes = readLayer(store.content.stream(descriptor.digest), {
    ...{ mediaType: descriptor.mediaType, signal, limits: { maxBytes: MOUNT_BYTES_MAX, maxEntries: ENTRIES_MAX } },
    onDiffId: (digest) => {
      found.diffId = digest;
    },
  });
  await applyChanges(withoutDevices(changes), fd, { signal, losses: { emit, of: called } });
  if (found.diffId !== diffId) throw new TsbuildError('DIGEST_MISMATCH', `expected diffID ${diffId}, found ${found.diffId ?? 'none'}`);
}

/** A step that wrote to the cache could have made none either, without root. */
async function* withoutDevices(changes: AsyncIterable<Change>): AsyncGenerator<Change, void, undefined> {
  for await (const change of changes)
    if (change.kind !== 'add' || (change.node.type !== 'char' && change.node.type !== 'block')) yield change;
}
