/** Layers of an image → committed snapshots, named by the chainID of the stack they make. */
import { TsbuildError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { applyChanges } from '../layers/apply-changes.ts';
import { readLayer } from '../layers/read-layer.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, hexOf } from '../oci/digest.ts';
import type { ActiveSnapshot, Snapshotter } from '../snapshots/snapshotter.ts';
import { isSound } from '../snapshots/unsound-snapshot.ts';
import { chainIds } from './chain-id.ts';
import type { BlobSource, Image } from './image.ts';
import { transferProgress } from './transfer-progress.ts';

export interface UnpackSession {
  readonly store: BlobSource;
  readonly snapshots: Snapshotter;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export interface LayerToUnpack {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** Name of the snapshot to make. */
  readonly name: string;
  readonly parent: string | undefined;
  /** RFC 3339; by default now. */
  readonly createdAt?: string;
}

/** What this process is unpacking: two stages on one base wait for the same snapshots. */
const running = new WeakMap<Snapshotter, Map<string, Promise<void>>>();

/**
 * Makes the snapshots that are not there yet and returns the name of the top one; undefined for an image without layers.
 * Each layer's uncompressed bytes must have the digest that the config lists, else DIGEST_MISMATCH and no snapshot.
 * Another process may unpack the same image at the same time: the first to commit wins. `arrived` is waited for before a layer is read.
 */
export async function unpackImage(
  session: UnpackSession,
  image: Image,
  arrived: (layer: Digest) => Promise<void> = async () => {},
): Promise<string | undefined> {
  const layers = layersOf(image);
  const top = layers.at(-1)?.name;
  if (top === undefined || session.snapshots.isWhole(top)) return top;
  const there = await soundBelow(session, layers);
  for (const layer of layers.slice(there + 1)) {
    await arrived(layer.descriptor.digest);
    await unpackOnce(session, layer);
  }
  return top;
}

/** The same for who runs something in it: the files are as they were unpacked. */
export async function unpackSound(session: UnpackSession, image: Image): Promise<string | undefined> {
  for (;;) {
    const top = await unpackImage(session, image);
    if (top === undefined || (await isSound(session, top))) return top;
  }
}

/** The last layer that is there, as are all below it; -1 where none is. */
async function soundBelow(session: UnpackSession, layers: readonly LayerToUnpack[]): Promise<number> {
  for (;;) {
    const there = layers.findLastIndex(({ name }) => session.snapshots.isWhole(name));
    const name = layers[there]?.name;
    if (name === undefined || (await isSound(session, name))) return there;
  }
}

function layersOf({ manifest, config }: Image): readonly LayerToUnpack[] {
  const diffIds = config.rootfs.diff_ids;
  const names = chainIds(diffIds).map(hexOf);
  return manifest.layers.flatMap((descriptor, i) => {
    const [diffId, name] = [diffIds[i], names[i]];
    return diffId === undefined || name === undefined ? [] : [{ descriptor, diffId, name, parent: names[i - 1] }];
  });
}

/** One layer on a committed snapshot, unless that is there by now. Throws as `unpackImage`. */
export async function unpackOnce(session: UnpackSession, layer: LayerToUnpack): Promise<void> {
  const mine = running.get(session.snapshots) ?? new Map<string, Promise<void>>();
  running.set(session.snapshots, mine);
  const other = mine.get(layer.name);
  if (other !== undefined) return other;
  if (session.snapshots.get(layer.name) !== undefined) return;
  const work = unpackLayer(session, layer).finally(() => mine.delete(layer.name));
  mine.set(layer.name, work);
  await work;
}

async function unpackLayer(session: UnpackSession, layer: LayerToUnpack): Promise<void> {
  const { snapshots } = session;
  const active = snapshots.prepare(layer.parent);
  try {
    await applyLayer(session, active, layer);
  } catch (error) {
    snapshots.discard(active);
    throw error;
  }
  snapshots.commit(active, layer.name, { purpose: { kind: 'image-layer', text: layer.descriptor.digest }, createdAt: layer.createdAt });
}

async function applyLayer(session: UnpackSession, active: ActiveSnapshot, layer: LayerToUnpack): Promise<void> {
  const { store, snapshots, emit, signal } = session;
  const { digest, size, mediaType } = layer.descriptor;
  const progress = transferProgress(emit, { action: 'unpack', id: digest, total: size });
  let found: Digest | undefined;
  const onDiffId = (diffId: Digest): void => {
    found = diffId;
  };
  const changes = readLayer(counted(store.content.stream(digest), progress.add), { mediaType, signal, onDiffId });
  using lower = snapshots.tree(layer.parent);
  await applyChanges(changes, active.upperFd, { lower, signal, losses: { emit, of: `layer ${digest}` } });
  if (found !== layer.diffId) {
    throw new TsbuildError('DIGEST_MISMATCH', `Cannot unpack layer ${digest}: expected diffID ${layer.diffId}, found ${found ?? 'none'}`, {
      hint: 'The image contradicts itself: whoever made it must make it again.',
    });
  }
  progress.end('done');
}

async function* counted(source: AsyncIterable<Buffer>, count: (bytes: number) => void): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of source) {
    count(chunk.length);
    yield chunk;
  }
}
