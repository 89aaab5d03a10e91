/** An image of the store: its manifest and config, read with all the distrust that foreign documents need. */
import { TsbuildError } from '../errors.ts';
import { chooseManifest } from '../oci/choose-manifest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { ImageConfig } from '../oci/image-config.ts';
import { invalid } from '../oci/json-fields.ts';
import type { Manifest } from '../oci/manifest.ts';
import { CONFIG_BYTES_MAX, parseImageConfig } from '../oci/parse-config.ts';
import { isConfigType, MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import { formatPlatform, normalizePlatform, type Platform } from '../oci/platform.ts';
import type { ContentStore } from '../store/content-store.ts';
import { normalizeHistory } from './normalize-history.ts';

export interface Image {
  /** Of the manifest. */
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  /** Its history has exactly one entry with a layer per layer, whatever the image's author wrote. */
  readonly config: ImageConfig;
}

/** Anything that has blobs: a whole store, or what a test opens. */
export interface BlobSource {
  readonly content: ContentStore;
}

/** How deep indexes may nest (a chain of them could be as long as a registry likes). */
const INDEX_DEPTH_MAX = 8;

/**
 * Reads the image that `descriptor`, of a manifest or an index, has for `platform`. Manifest and config bytes are
 * verified; layers are not looked at. Throws PLATFORM_NOT_FOUND, IMAGE_INVALID, DIGEST_MISMATCH, and STORE_INVALID where
 * a blob is missing.
 */
export async function loadImage(store: BlobSource, descriptor: Descriptor, platform: Platform): Promise<Image> {
  return needPlatform(await loadAnyImage(store, descriptor, platform), platform);
}

/** As `loadImage`, but a manifest that no index chose is taken for what it is, whatever the platform. */
export async function loadAnyImage(store: BlobSource, descriptor: Descriptor, platform: Platform): Promise<Image> {
  const image = await findImage(store, descriptor, platform);
  if (image !== undefined) return image;
  throw new TsbuildError('STORE_INVALID', `Cannot use image ${descriptor.digest}: its manifest or config is not in the store`, {
    hint: 'Pull or build the image again.',
  });
}

/** As `loadAnyImage`; undefined where the store lacks a document, as it may of an index of which another platform was pulled. */
export async function findImage(store: BlobSource, descriptor: Descriptor, platform: Platform): Promise<Image | undefined> {
  let at = descriptor;
  for (let depth = 0; depth <= INDEX_DEPTH_MAX; depth++) {
    if (!store.content.has(at.digest)) return undefined;
    const subject = `manifest ${at.digest}`;
    const document = parseManifestDocument(await readDocument(store, at, MANIFEST_BYTES_MAX), at.mediaType, subject);
    if (document.kind === 'manifest') return await readImage(store, { ...at, manifest: document.manifest });
    at = chooseManifest(document.index, platform, `image ${descriptor.digest}`);
  }
  return invalid(`index ${descriptor.digest}`, `it nests deeper than ${INDEX_DEPTH_MAX}`);
}

/** The image, if it is for `platform`. Throws PLATFORM_NOT_FOUND. */
export function needPlatform(image: Image, platform: Platform): Image {
  const found = normalizePlatform(image.config);
  const wanted = normalizePlatform(platform);
  if (found.os === wanted.os && found.architecture === wanted.architecture) return image;
  throw new TsbuildError(
    'PLATFORM_NOT_FOUND',
    `Cannot use image ${image.descriptor.digest} for ${formatPlatform(wanted)}: it is for ${formatPlatform(found)}`,
  );
}

async function readImage(store: BlobSource, found: Descriptor & { manifest: Manifest }): Promise<Image | undefined> {
  const { manifest, ...descriptor } = found;
  const { config: configDescriptor, layers } = manifest;
  const subject = `config ${configDescriptor.digest}`;
  if (!isConfigType(configDescriptor.mediaType)) {
    invalid(`manifest ${descriptor.digest}`, `its config is ${configDescriptor.mediaType}, so it is no container image`);
  }
  if (!store.content.has(configDescriptor.digest)) return undefined;
  const config = parseImageConfig(await readDocument(store, configDescriptor, CONFIG_BYTES_MAX), subject);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== layers.length) invalid(subject, `it lists ${diffIds.length} layers, its manifest ${layers.length}`);
  checkPlatform(descriptor, config);
  const { mediaType, digest, size } = descriptor;
  return {
    descriptor: { mediaType, digest, size },
    manifest,
    config: { ...config, history: normalizeHistory(config.history, layers.length) },
  };
}

/** The index may say one thing and the config another: then neither is believed. */
function checkPlatform(descriptor: Descriptor, config: ImageConfig): void {
  const found = normalizePlatform(config);
  const named = descriptor.platform === undefined ? undefined : normalizePlatform(descriptor.platform);
  if (named !== undefined && (named.os !== found.os || named.architecture !== found.architecture)) {
    invalid(`manifest ${descriptor.digest}`, `its index says ${formatPlatform(named)}, its config ${formatPlatform(found)}`);
  }
}

/** The blob of a descriptor, whose size is checked before its bytes are read. */
async function readDocument(store: BlobSource, descriptor: Descriptor, maxBytes: number): Promise<Buffer> {
  const size = store.content.size(descriptor.digest);
  if (size !== undefined && size !== descriptor.size) {
    throw new TsbuildError('DIGEST_MISMATCH', `Cannot use blob ${descriptor.digest}: expected ${descriptor.size} bytes, found ${size}`);
  }
  return store.content.read(descriptor.digest, { maxBytes });
}
