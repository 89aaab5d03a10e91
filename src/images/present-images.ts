/** What the store has of an image: an index may name platforms that nobody pulled. */
import { TsbuildError } from '../errors.ts';
import { type Descriptor, REFERENCE_TYPE } from '../oci/descriptor.ts';
import { isIndexType, isManifestType } from '../oci/parse-manifest.ts';
import { type Platform, samePlatform } from '../oci/platform.ts';
import { childrenOf } from '../store/descriptor-children.ts';
import { assembleIndex } from './assemble-index.ts';
import { type BlobSource, findImage, type Image } from './image.ts';

const INDEX_DEPTH_MAX = 8;

/** The images whose manifest and config are there, in the order of the index; attestations are none. */
export async function presentImages(store: BlobSource, descriptor: Descriptor): Promise<Image[]> {
  const images: Image[] = [];
  for (const manifest of manifestsOf(store, descriptor)) {
    const image = await findImage(store, manifest, NO_PLATFORM);
    if (image !== undefined) images.push(image);
  }
  return images;
}

/** That of `platform`, else the first. Throws STORE_INVALID where there is none at all. */
export async function presentImage(store: BlobSource, descriptor: Descriptor, platform: Platform): Promise<Image> {
  const images = await presentImages(store, descriptor);
  const found = images.find(({ config }) => samePlatform(config, platform)) ?? images[0];
  if (found !== undefined) return found;
  throw new TsbuildError('STORE_INVALID', `Cannot use image ${descriptor.digest}: nothing of it is in the store`, {
    hint: 'Pull or build the image again.',
  });
}

/**
 * As much of an image as can be sent away: `descriptor` itself where all is there, else the one manifest that is
 * whole, or a new index of those that are. Throws STORE_INVALID where none is.
 */
export async function wholePart(store: BlobSource, descriptor: Descriptor): Promise<Descriptor> {
  if (!isIndexType(descriptor.mediaType) || isWhole(store, descriptor, 0)) return descriptor;
  const images = (await presentImages(store, descriptor)).filter((image) => isWhole(store, image.descriptor, 0));
  const [first, ...more] = images;
  if (first === undefined) {
    throw new TsbuildError('STORE_INVALID', `Cannot use image ${descriptor.digest}: no platform of it is complete in the store`, {
      hint: 'Pull it again. `tsbuild manifest push` also sends what lies in another repository.',
    });
  }
  if (more.length === 0) return first.descriptor;
  return await assembleIndex(
    store,
    images.map((image) => ({ descriptor: image.descriptor, platform: image.config })),
  );
}

/** A manifest that no index chose is taken whatever it is for. */
const NO_PLATFORM: Platform = { os: '', architecture: '' };

/** Manifests of images that `root` leads to, or is; attestations are none. */
export function manifestsOf({ content }: BlobSource, root: Descriptor): Descriptor[] {
  const manifests = new Map<string, Descriptor>();
  let level: readonly Descriptor[] = [root];
  for (let depth = 0; depth < INDEX_DEPTH_MAX && level.length > 0; depth++) {
    for (const each of level) if (isManifestType(each.mediaType) && !isAttestation(each)) manifests.set(each.digest, each);
    level = level.filter(({ mediaType }) => isIndexType(mediaType)).flatMap((index) => childrenOf(content, index));
  }
  return [...manifests.values()];
}

function isAttestation({ platform, annotations }: Descriptor): boolean {
  return platform?.os === 'unknown' || annotations?.[REFERENCE_TYPE] !== undefined;
}

function isWhole({ content }: BlobSource, descriptor: Descriptor, depth: number): boolean {
  if (content.size(descriptor.digest) !== descriptor.size || depth > INDEX_DEPTH_MAX) return false;
  return childrenOf(content, descriptor).every((child) => isWhole({ content }, child, depth + 1));
}
