/** `images`, `inspect`, `tag`, `rmi`: what the local store holds, under which names. */
import { TsbuildError } from '../errors.ts';
import { imageSize } from '../images/image-size.ts';
import { presentImage, presentImages } from '../images/present-images.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { ImageConfig } from '../oci/image-config.ts';
import type { Manifest } from '../oci/manifest.ts';
import { normalizePlatform, type Platform } from '../oci/platform.ts';
import { familiarName, formatReference, parseReference } from '../oci/reference.ts';
import { type CommonOptions, openSession, type Session } from '../session.ts';
import type { StoredImage } from '../store/image-store.ts';

export interface ImageSummary {
  /** As people write it, such as `app:1`. */
  readonly name: string;
  /** Of the manifest. */
  readonly digest: Digest;
  /** Of the config. */
  readonly imageId: Digest;
  /** RFC 3339: when the name was last pointed elsewhere. */
  readonly createdAt: string;
  /** Bytes of all blobs. */
  readonly size: number;
  /** This machine's, where the image has it, else its first. */
  readonly platform: Platform;
  /** All that are in the store. */
  readonly platforms: readonly Platform[];
}

export interface ImageDetails {
  readonly name: string;
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** What the image is for, as far as it is in the store; manifest and config are this machine's, or else the first. */
  readonly platforms: readonly Platform[];
  readonly size: number;
}

/** Every named image, newest first. */
export async function listImages(options: CommonOptions = {}): Promise<ImageSummary[]> {
  await using session = await openSession(options);
  const summaries: ImageSummary[] = [];
  for (const stored of session.store.images.list()) {
    const details = await detailsOf(session, stored);
    summaries.push({
      ...{ name: details.name, digest: details.descriptor.digest, imageId: details.manifest.config.digest },
      ...{ createdAt: stored.createdAt, size: details.size },
      platform: normalizePlatform(details.config),
      platforms: details.platforms,
    });
  }
  return summaries;
}

/** `name`: a reference, or the beginning of a digest or image id. Throws IMAGE_NOT_FOUND. */
export async function inspectImage(options: CommonOptions & { readonly name: string }): Promise<ImageDetails> {
  await using session = await openSession(options);
  return await detailsOf(session, storedImage(session, options.name));
}

/** Points `target` to the image that `source` names. */
export async function tagImage(options: CommonOptions & { readonly source: string; readonly target: string }): Promise<{ digest: Digest }> {
  await using session = await openSession(options);
  const { descriptor } = storedImage(session, options.source);
  await session.store.images.set(options.target, descriptor);
  return { digest: descriptor.digest };
}

/** Takes a name away, or all names of a digest; blobs that no name needs go with it, but for those that another process uses. */
export async function removeImage(options: CommonOptions & { readonly name: string }): Promise<{ untagged: string[]; freedBytes: number }> {
  await using session = await openSession(options);
  const { images } = session.store;
  const { name, descriptor } = storedImage(session, options.name);
  const isName = images.get(safeName(options.name) ?? '') !== undefined;
  const names = isName
    ? [name]
    : images
        .list()
        .filter((image) => image.descriptor.digest === descriptor.digest)
        .map((image) => image.name);
  const untagged = names.filter((each) => images.remove(each));
  return { untagged: untagged.map((each) => familiarName(parseReference(each))), freedBytes: await session.store.collect([]) };
}

/** Throws IMAGE_NOT_FOUND with what is there. */
export function storedImage(session: Session, name: string): StoredImage {
  const stored = session.store.images.resolve(name);
  if (stored !== undefined) return stored;
  throw new TsbuildError('IMAGE_NOT_FOUND', `Cannot find the image ${JSON.stringify(name)}: not in the store ${session.store.root}`, {
    hint: '`tsbuild images` lists what is there; `tsbuild pull` fetches from a registry.',
  });
}

async function detailsOf(session: Session, stored: StoredImage): Promise<ImageDetails> {
  const { manifest, config } = await presentImage(session.store, stored.descriptor, session.platform);
  const platforms = (await presentImages(session.store, stored.descriptor)).map((image) => normalizePlatform(image.config));
  const size = imageSize(session.store, stored.descriptor);
  return { name: familiarName(parseReference(stored.name)), descriptor: stored.descriptor, manifest, config, platforms, size };
}

/** undefined where `name` is no reference but perhaps a digest. */
function safeName(name: string): string | undefined {
  try {
    return formatReference(parseReference(name));
  } catch (error) {
    if (error instanceof TsbuildError) return undefined;
    throw error;
  }
}
