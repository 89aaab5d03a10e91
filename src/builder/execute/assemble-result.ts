/** The target stage's state as an image in the store: layers packed, times filled in, config and manifest written. */
import type { PortableLayer } from '../../cache/portable-step.ts';
import { assembleImage } from '../../images/assemble-image.ts';
import { assembleIndex, type IndexPart } from '../../images/assemble-index.ts';
import type { AssembledImage } from '../../images/assembled-image.ts';
import { loadImage } from '../../images/image.ts';
import { annotationsField, type ImageFormat } from '../../images/image-format.ts';
import { imageSize } from '../../images/image-size.ts';
import { type Descriptor, plainDescriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { HistoryEntry, ImageConfig } from '../../oci/image-config.ts';
import type { LayerSource } from './files.ts';
import { formOf, packingOf, packSnapshot, recompress } from './pack-snapshot.ts';
import type { BuildResources } from './resources.ts';
import type { StageState } from './stage-state.ts';

interface PackedSource {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** When the layer was made; undefined for those of the base image. */
  readonly createdAt: string | undefined;
}

/** Time of an image in which nothing has one. */
const NO_TIME = '1970-01-01T00:00:00Z';

export interface ResultOptions {
  readonly labels: Readonly<Record<string, string>>;
  /** An index even of one platform. */
  readonly index: 'always' | 'for-several';
  readonly format: ImageFormat;
  /** Fields of each image's config beside those of an image: of the layers that steps made, by their snapshots. */
  readonly inline?: ((layers: ReadonlyMap<string, PortableLayer>) => object) | undefined;
  /** What goes into the index beside an image, and is about it; the second argument is the position of its state. */
  readonly attest?: ((image: AssembledImage, position: number) => Promise<Descriptor>) | undefined;
}

/**
 * One platform: its image. Several, or one with attestations: an index, images in their order, then attestations in theirs; `config`
 * and `imageId` are then those of the first image.
 */
export async function assembleResult(
  resources: BuildResources,
  states: readonly StageState[],
  options: ResultOptions,
): Promise<AssembledImage> {
  const images: AssembledImage[] = [];
  for (const state of states) images.push(await assembleOne(resources, state, options));
  const [first] = images;
  if (first === undefined) throw new Error('A build has a platform');
  const { format, attest } = options;
  if (images.length === 1 && options.index === 'for-several' && attest === undefined) return first;
  const parts = images.map(({ descriptor, config }): IndexPart => ({ descriptor, platform: config }));
  for (const [position, image] of images.entries()) {
    const descriptor = await attest?.(image, position);
    if (descriptor?.platform !== undefined) parts.push({ descriptor, platform: descriptor.platform });
  }
  const index = { mediaTypes: format.mediaTypes, ...annotationsField(format, 'index') };
  const descriptor = { ...(await assembleIndex(resources.store, parts, index)), ...annotationsField(format, 'index-descriptor') };
  return { ...first, descriptor, size: imageSize(resources.store, descriptor) };
}

async function assembleOne(
  resources: BuildResources,
  state: StageState,
  { labels, format, inline }: ResultOptions,
): Promise<AssembledImage> {
  const layers = await Promise.all(state.layers.map((source) => packOne(resources, source, format)));
  const epoch = epochTime(format);
  const history = withTimes(state.history, layers, epoch);
  const config: ImageConfig = {
    created: epoch ?? history.at(-1)?.created ?? NO_TIME,
    ...(state.author === undefined ? {} : { author: state.author }),
    ...state.imagePlatform,
    config: { ...state.config, ...labelled(state, labels) },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history,
  };
  const { mediaTypes } = format;
  const platform = state.imagePlatform;
  const written = { ...config, ...inline?.(portableLayers(state.layers, layers, format)) };
  const plain = await assembleImage(resources.store, {
    config: written,
    layers,
    mediaTypes,
    ...annotationsField(format, 'manifest', platform),
  });
  const descriptor = { ...plain, ...annotationsField(format, 'manifest-descriptor', platform) };
  const { manifest } = await loadImage(resources.store, plain, platform);
  return { descriptor, imageId: manifest.config.digest, config, size: imageSize(resources.store, descriptor) };
}

function portableLayers(sources: readonly LayerSource[], packed: readonly PackedSource[], format: ImageFormat): Map<string, PortableLayer> {
  const form = formOf(packingOf(format));
  const layers = new Map<string, PortableLayer>();
  for (const [i, source] of sources.entries()) {
    const layer = packed[i];
    // An eStargz has its index in annotations, which no record keeps.
    if (source.kind === 'blob' || layer?.createdAt === undefined || layer.descriptor.annotations !== undefined) continue;
    layers.set(source.name, { descriptor: plainDescriptor(layer.descriptor), diffId: layer.diffId, form, createdAt: layer.createdAt });
  }
  return layers;
}

async function packOne(resources: BuildResources, source: LayerSource, format: ImageFormat): Promise<PackedSource> {
  if (source.kind === 'blob') {
    const layer = format.forceCompression ? await recompress(resources, source, format.compression) : source;
    return { ...layer, createdAt: undefined };
  }
  const createdAt = resources.snapshots.get(source.name)?.createdAt ?? source.packed?.layer?.createdAt;
  return { ...(await packSnapshot(resources, source, packingOf(format))), createdAt };
}

/** SOURCE_DATE_EPOCH as configs write it, without a fraction. */
function epochTime({ sourceDateEpoch }: ImageFormat): string | undefined {
  return sourceDateEpoch === undefined ? undefined : new Date(sourceDateEpoch * 1000).toISOString().replace('.000Z', 'Z');
}

/**
 * A layer's entry has the time of its snapshot; an entry without a layer, that of the one before: a cached build says the same again.
 * With an epoch, entries of this build have that, and those of the base none that is later.
 */
function withTimes(history: readonly HistoryEntry[], layers: readonly PackedSource[], epoch: string | undefined): HistoryEntry[] {
  if (epoch !== undefined) {
    const isLater = (created: string): boolean => !(Date.parse(created) <= Date.parse(epoch));
    return history.map((entry) => (entry.created === undefined || isLater(entry.created) ? { ...entry, created: epoch } : entry));
  }
  let layer = 0;
  let last = NO_TIME;
  return history.map((entry) => {
    const made = entry.empty_layer === true ? undefined : layers[layer++]?.createdAt;
    last = entry.created ?? made ?? last;
    return { ...entry, created: last };
  });
}

function labelled(state: StageState, labels: Readonly<Record<string, string>>): { Labels?: Record<string, string> } {
  if (Object.keys(labels).length === 0) return {};
  const all = new Map([...Object.entries(state.config.Labels ?? {}), ...Object.entries(labels)]);
  return { Labels: Object.fromEntries(all) };
}
