/** Layers of steps that were made elsewhere: fetched when they are needed, and believed when they are what they are said to be. */
import { layerRecordKey } from '../../cache/layer-record-key.ts';
import type { PortableLayer } from '../../cache/portable-step.ts';
import { TsbuildError } from '../../errors.ts';
import { unpackOnce } from '../../images/unpack-image.ts';
import { readLayer } from '../../layers/read-layer.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { BuildResources } from './resources.ts';

export interface PackedLayer {
  /** Of the snapshot that it is, or becomes. */
  readonly name: string;
  readonly layer: PortableLayer | undefined;
}

/** The layer cannot be had, or is not what its record says: the step has to be made after all. Never shown. */
export class UnusableLayer extends TsbuildError {
  readonly packed: PackedLayer;

  constructor(packed: PackedLayer, cause?: TsbuildError) {
    const reason = cause?.message ?? 'no cache has it';
    super('DIGEST_MISMATCH', `Cannot use layer ${packed.layer?.descriptor.digest ?? packed.name} of the cache: ${reason}`, { cause });
    this.packed = packed;
  }
}

/** What is wrong with the machine or the build is not wrong with the layer. */
const NOT_OF_THE_LAYER: ReadonlySet<string> = new Set(
  ['INTERRUPTED', 'TIMEOUT', 'NO_SPACE', 'PRIVILEGE', 'SYSCALL_FAILED', 'STORE_INVALID'].map((name) => `ERR_TSBUILD_${name}`),
);

export function isOfTheLayer({ code }: TsbuildError): boolean {
  return !NOT_OF_THE_LAYER.has(code);
}

/** Its blob is in the store, an archive, and its diffID right. Throws UnusableLayer. */
export async function checkLayer(resources: BuildResources, packed: PackedLayer): Promise<void> {
  const { cache, signal, store } = resources;
  if (packed.layer === undefined) throw new UnusableLayer(packed);
  const { descriptor, diffId, form } = packed.layer;
  const isChecked = cache.layers.get(layerRecordKey(packed.name, form))?.descriptor.digest === descriptor.digest;
  if (isChecked && store.content.size(descriptor.digest) === descriptor.size) return;
  await judged(resources, { name: packed.name, layer: packed.layer }, async () => {
    await fetchLayer(resources, descriptor);
    let found: Digest | undefined;
    const changes = readLayer(store.content.stream(descriptor.digest), {
      ...{ mediaType: descriptor.mediaType, signal },
      onDiffId: (digest) => {
        found = digest;
      },
    });
    // Contents are passed over: it is an archive that can be unpacked, and the one that it is said to be.
    for await (const _ of changes);
    if (found !== diffId) throw new TsbuildError('DIGEST_MISMATCH', `expected diffID ${diffId}, found ${found ?? 'none'}`);
  });
}

/** Makes the snapshot. Throws UnusableLayer. */
export async function unpackLayer(resources: BuildResources, packed: PackedLayer & { readonly parent: string | undefined }): Promise<void> {
  const { emit, signal, snapshots, store } = resources;
  const { name, parent, layer } = packed;
  if (layer === undefined) throw new UnusableLayer(packed);
  const { descriptor, diffId, createdAt } = layer;
  await judged(resources, { name, layer }, async () => {
    await fetchLayer(resources, descriptor);
    await unpackOnce({ store, snapshots, emit, signal }, { descriptor, diffId, name, parent, createdAt });
  });
}

/** A layer that was found good is one like those that are packed here. */
async function judged(
  { cache, signal }: BuildResources,
  { name, layer }: { readonly name: string; readonly layer: PortableLayer },
  work: () => Promise<void>,
): Promise<void> {
  const { descriptor, diffId, form, createdAt } = layer;
  try {
    await work();
  } catch (error) {
    if (signal.aborted || !(error instanceof TsbuildError) || !isOfTheLayer(error)) throw error;
    throw new UnusableLayer({ name, layer }, error);
  }
  cache.layers.set(layerRecordKey(name, form), { diffId, descriptor, snapshot: name, createdAt });
}

async function fetchLayer({ imports, signal, store }: BuildResources, descriptor: Descriptor): Promise<void> {
  if (store.content.size(descriptor.digest) === descriptor.size) return;
  if (imports === undefined) throw new TsbuildError('DIGEST_MISMATCH', 'its blob is gone');
  await imports.fetch(descriptor, signal);
}
