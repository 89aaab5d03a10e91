/** `manifest create`: an index of images of the store and of registries. Source: docker buildx imagetools create. */
import { TsbuildError } from '../../errors.ts';
import { assembleIndex, type IndexPart } from '../../images/assemble-index.ts';
import { annotationsField, type ImageAnnotation } from '../../images/image-format.ts';
import { type Descriptor, MEDIA_TYPE, REFERENCE_DIGEST } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { MANIFEST_BYTES_MAX } from '../../oci/parse-manifest.ts';
import { formatPlatform, parsePlatform, samePlatform } from '../../oci/platform.ts';
import { familiarName, formatReference, parseNewName } from '../../oci/reference.ts';
import { type CommonOptions, openSession, type Session } from '../../session.ts';
import { findDocument } from './find-document.ts';
import { flattenSource } from './flatten-source.ts';
import { type IndexSource, readSource } from './index-source.ts';

export interface CreateIndexOptions extends CommonOptions {
  /** The index gets all of them; what is not in the store is looked for in the repository of the first. */
  readonly names: readonly string[];
  /** Images, indexes, digests, or descriptors as JSON; indexes count for what is in them. */
  readonly sources: readonly string[];
  /** Adds to what the first name means now. */
  readonly append?: boolean | undefined;
  /** Only of these. */
  readonly platforms?: readonly string[] | undefined;
  /** On `index` and `manifest-descriptor` alone. */
  readonly annotations?: readonly ImageAnnotation[] | undefined;
  /** Gives nothing a name. */
  readonly dryRun?: boolean | undefined;
}

export interface CreatedIndex {
  readonly digest: Digest;
  /** As it is stored. */
  readonly bytes: Buffer;
  readonly names: readonly string[];
}

/** Rejects with IMAGE_NOT_FOUND, PLATFORM_NOT_FOUND, USAGE and the registry's errors; then no name is changed. */
export async function createIndex(options: CreateIndexOptions): Promise<CreatedIndex> {
  const references = options.names.map(parseNewName);
  const [target] = references;
  if (target === undefined) throw new TsbuildError('USAGE', 'Cannot make an index: it has no name');
  for (const { on } of options.annotations ?? []) refuseAnnotation(on);
  await using session = await openSession(options);
  const named: IndexSource[] = options.append === true ? [{ name: formatReference(target) }] : [];
  const sources = [...named, ...options.sources.map((text) => readSource(text, target))];
  if (sources.length === 0) throw new TsbuildError('USAGE', 'Cannot make an index: no image is named');
  const parts = chosenParts(await collectParts(session, sources), options.platforms ?? []);
  warnOfDoubles(session, parts);
  const descriptor = await putIndex(session, parts, options.annotations ?? []);
  const bytes = await session.store.content.read(descriptor.digest, { maxBytes: MANIFEST_BYTES_MAX });
  if (options.dryRun !== true) for (const reference of references) await session.store.images.set(formatReference(reference), descriptor);
  return { digest: descriptor.digest, bytes, names: references.map(familiarName) };
}

function refuseAnnotation(on: ImageAnnotation['on']): void {
  if (on === 'index' || on === 'manifest-descriptor') return;
  throw new TsbuildError('USAGE', `Cannot annotate the ${on} of an index that is made of images`, {
    hint: 'index:KEY=VALUE and manifest-descriptor[PLATFORM]:KEY=VALUE can be given; a manifest is changed by building it again.',
  });
}

/** Each digest once; what a later source says of it counts beside what the earlier ones said. */
async function collectParts(session: Session, sources: readonly IndexSource[]): Promise<IndexPart[]> {
  const parts = new Map<Digest, IndexPart>();
  for (const source of sources) {
    const found = await findDocument(session, source.name, 'store').catch((error: unknown) => {
      const inRepository = source.elsewhere;
      if (inRepository === undefined || !(error instanceof TsbuildError && error.code === 'ERR_TSBUILD_IMAGE_NOT_FOUND')) throw error;
      return findDocument(session, inRepository, 'registry');
    });
    for (const part of await flattenSource(session, found)) {
      const before = parts.get(part.descriptor.digest);
      parts.set(part.descriptor.digest, merged(before, part, source.descriptor));
    }
  }
  return [...parts.values()];
}

function merged(before: IndexPart | undefined, part: IndexPart, said: Partial<Descriptor> | undefined): IndexPart {
  const annotations = { ...before?.descriptor.annotations, ...part.descriptor.annotations, ...said?.annotations };
  const descriptor = { ...part.descriptor, ...(Object.keys(annotations).length === 0 ? {} : { annotations }) };
  return { ...part, descriptor, platform: said?.platform ?? part.platform ?? before?.platform };
}

/** Those for `platforms`, and what attests them. Throws PLATFORM_NOT_FOUND. */
function chosenParts(parts: readonly IndexPart[], platforms: readonly string[]): readonly IndexPart[] {
  if (platforms.length === 0) return parts;
  const wanted = platforms.flatMap((list) => list.split(',')).map(parsePlatform);
  const isFor = (part: IndexPart, each: (typeof wanted)[number]): boolean =>
    part.platform !== undefined && samePlatform(part.platform, each);
  const missing = wanted.find((each) => !parts.some((part) => isFor(part, each)));
  if (missing !== undefined) {
    const there = [
      ...new Set(parts.flatMap(({ platform }) => (platform === undefined || platform.os === 'unknown' ? [] : [formatPlatform(platform)]))),
    ];
    throw new TsbuildError('PLATFORM_NOT_FOUND', `Cannot make an index for ${formatPlatform(missing)}: no source is for this platform`, {
      hint: `There are ${there.slice(0, 12).join(', ') || 'none'}.`,
    });
  }
  const chosen = new Set(
    parts.filter((part) => wanted.some((each) => isFor(part, each))).map(({ descriptor }) => String(descriptor.digest)),
  );
  return parts.filter(({ descriptor: { digest, annotations } }) => chosen.has(digest) || chosen.has(annotations?.[REFERENCE_DIGEST] ?? ''));
}

/** Whoever pulls takes the first. */
function warnOfDoubles({ emit }: Session, parts: readonly IndexPart[]): void {
  const seen = new Set<string>();
  for (const { platform, details } of parts) {
    if (platform === undefined || platform.os === 'unknown') continue;
    const key = `${formatPlatform(platform)} ${details?.['os.version'] ?? ''}`.trimEnd();
    if (seen.has(key)) emit({ kind: 'warning', message: `Several images are for ${key}: the first one is what clients take` });
    seen.add(key);
  }
}

/** Of Docker's kind where all that is in it is, and nothing asks for more; else of OCI's. */
async function putIndex({ store }: Session, parts: readonly IndexPart[], annotations: readonly ImageAnnotation[]): Promise<Descriptor> {
  const annotated = parts.map((part) => {
    const added = annotationsField({ annotations }, 'manifest-descriptor', part.platform).annotations;
    if (added === undefined) return part;
    return { ...part, descriptor: { ...part.descriptor, annotations: { ...part.descriptor.annotations, ...added } } };
  });
  const own = annotationsField({ annotations }, 'index');
  const plain = own.annotations === undefined && annotated.every(({ descriptor }) => isPlainDocker(descriptor));
  return await assembleIndex(store, annotated, { mediaTypes: plain ? 'docker' : 'oci', ...own });
}

function isPlainDocker({ mediaType, annotations }: Descriptor): boolean {
  return mediaType === MEDIA_TYPE.dockerManifest && annotations === undefined;
}
