/**
 * Images of the store → one tar file: an OCI layout (image-spec image-layout.md) that is at the same time what
 * `docker load` of any version takes (a `manifest.json` beside it). Same images, same bytes.
 */
import type { Emit } from '../events.ts';
import { imageSize } from '../images/image-size.ts';
import { manifestsOf } from '../images/present-images.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import { hexOf } from '../oci/digest.ts';
import { isManifestType, MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import { familiarName, parseReference } from '../oci/reference.ts';
import { reachableFrom } from '../store/descriptor-children.ts';
import type { StoredImage } from '../store/image-store.ts';
import type { Store } from '../store/open-store.ts';
import { type ArchiveEntry, writeArchive } from './write-archive.ts';
import type { FileOutput } from './write-file.ts';

export interface SaveSession {
  readonly store: Pick<Store, 'content'>;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** Without a name, an image is found by its digest alone. */
export interface NamedImage {
  readonly name: StoredImage['name'] | undefined;
  readonly descriptor: Descriptor;
}

/** Saves images with the names they have in the store. A blob that has rotted fails the save, and then no file appears. */
export async function saveImages({ store, emit, signal }: SaveSession, images: readonly NamedImage[], output: FileOutput): Promise<void> {
  await writeArchive(await layoutEntries(store, images), output, signal);
  tellWritten({ store, emit }, images);
}

/** The files of the layout: same images, same entries in the same order. */
export async function layoutEntries(store: SaveSession['store'], images: readonly NamedImage[]): Promise<ArchiveEntry[]> {
  const sorted = [...images].sort(byName);
  const blobs = reachableFrom(
    store.content,
    sorted.map(({ descriptor }) => descriptor),
  ).filter(isNeeded(store));
  return [
    { name: 'oci-layout', bytes: canonicalJson({ imageLayoutVersion: '1.0.0' }) },
    { name: 'index.json', bytes: canonicalJson({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: layoutManifests(sorted) }) },
    { name: 'manifest.json', bytes: canonicalJson(await dockerManifest(store, sorted)) },
    { name: 'blobs/' },
    { name: 'blobs/sha256/' },
    ...[...blobs]
      .sort((a, b) => (a.digest < b.digest ? -1 : 1))
      .map(({ digest, size }): ArchiveEntry => ({ name: blobName(digest), size, chunks: () => store.content.stream(digest) })),
  ];
}

export function tellWritten({ store, emit }: Pick<SaveSession, 'store' | 'emit'>, images: readonly NamedImage[]): void {
  for (const { name, descriptor } of [...images].sort(byName)) {
    const names = name === undefined ? [] : [name];
    emit({ kind: 'image', action: 'written', digest: descriptor.digest, names, size: imageSize(store, descriptor) });
  }
}

function byName(a: NamedImage, b: NamedImage): number {
  return (a.name ?? '') < (b.name ?? '') ? -1 : 1;
}

/** An index of many platforms may be in the store with the manifest of one of them; anything else that is missing fails the save. */
function isNeeded(store: SaveSession['store']): (descriptor: Descriptor) => boolean {
  return ({ digest, mediaType }) => store.content.has(digest) || !isManifestType(mediaType);
}

function blobName(digest: Descriptor['digest']): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

/** What index.json lists. `ref.name` is the tag, as peers write it, unless two images of the archive share it. */
export function layoutManifests(images: readonly NamedImage[]): Descriptor[] {
  const references = images.map(({ name }) => (name === undefined ? undefined : parseReference(name)));
  const tags = references.map((reference) => reference?.tag);
  return images.map(({ name, descriptor }, i) => {
    const [reference, tag] = [references[i], tags[i]];
    if (name === undefined || reference === undefined) return descriptor;
    const unique = tag !== undefined && tags.indexOf(tag) === tags.lastIndexOf(tag);
    const annotations = {
      ...descriptor.annotations,
      'io.containerd.image.name': name,
      'org.opencontainers.image.ref.name': unique ? tag : familiarName(reference),
    };
    return { ...descriptor, annotations };
  });
}

interface DockerManifestItem {
  readonly Config: string;
  readonly RepoTags: string[];
  readonly Layers: readonly string[];
}

/** Docker's own list of images: one item per manifest, with all its tags. Indexes of several have no place in it. */
async function dockerManifest(store: SaveSession['store'], images: readonly NamedImage[]): Promise<DockerManifestItem[]> {
  const items = new Map<string, DockerManifestItem>();
  for (const { name, descriptor: named } of images) {
    const [descriptor, ...others] = manifestsOf(store, named);
    if (descriptor === undefined || others.length > 0) continue;
    const item = items.get(descriptor.digest) ?? (await dockerItem(store, descriptor));
    const reference = name === undefined ? undefined : parseReference(name);
    if (reference?.tag !== undefined && reference.digest === undefined) item.RepoTags.push(familiarName(reference));
    items.set(descriptor.digest, item);
  }
  return [...items.values()];
}

async function dockerItem(store: SaveSession['store'], descriptor: Descriptor): Promise<DockerManifestItem> {
  const bytes = await store.content.read(descriptor.digest, { maxBytes: MANIFEST_BYTES_MAX });
  const document = parseManifestDocument(bytes, descriptor.mediaType, `manifest ${descriptor.digest}`);
  if (document.kind === 'index') throw new Error('A manifest cannot be an index');
  const { config, layers } = document.manifest;
  return { Config: blobName(config.digest), RepoTags: [], Layers: layers.map(({ digest }) => blobName(digest)) };
}
