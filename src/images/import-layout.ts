/** An image out of an OCI image layout (image-spec image-layout.md) into the store: hostile input, every blob verified. */
import { closeSync, constants, createReadStream, fstatSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { SyscallError, TsbuildError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { chooseManifest } from '../oci/choose-manifest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { MEDIA_TYPE } from '../oci/descriptor.ts';
import { hexOf, isDigest } from '../oci/digest.ts';
import { invalid } from '../oci/json-fields.ts';
import type { ImageIndex } from '../oci/manifest.ts';
import { CONFIG_BYTES_MAX } from '../oci/parse-config.ts';
import { MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import type { Platform } from '../oci/platform.ts';
import { openBeneath, openDirectory } from '../sys/open.ts';
import { type ByteString, fromText } from '../tree/byte-string.ts';
import { type BlobSource, type Image, loadImage } from './image.ts';
import { transferProgress } from './transfer-progress.ts';

export interface LayoutSession {
  readonly store: BlobSource;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

const REF_NAME = 'org.opencontainers.image.ref.name';
const FULL_NAME = 'io.containerd.image.name';
const INDEX_DEPTH_MAX = 8;
/** O_NONBLOCK: a fifo must not hang the build; O_NOFOLLOW: a blob is a file of the layout itself. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * `place`: an absolute directory, then `:tag` or `@digest`; without either, the one image in it or the one called `latest`.
 * Throws IMAGE_NOT_FOUND, IMAGE_INVALID, PLATFORM_NOT_FOUND, DIGEST_MISMATCH.
 */
export async function importLayout(session: LayoutSession, place: string, platform: Platform): Promise<Image> {
  const { directory, selector } = splitPlace(place);
  const index = parseManifestDocument(readIndex(directory), MEDIA_TYPE.index, `index.json of ${directory}`);
  if (index.kind !== 'index') return invalid(`index.json of ${directory}`, 'it is no index');
  let at = selectImage(index.index, directory, selector);
  for (let depth = 0; depth <= INDEX_DEPTH_MAX; depth++) {
    const subject = `manifest ${at.digest} of ${directory}`;
    if (at.size > MANIFEST_BYTES_MAX) invalid(subject, `it is larger than ${MANIFEST_BYTES_MAX} bytes`);
    await importBlob(session, directory, at);
    const document = parseManifestDocument(
      await session.store.content.read(at.digest, { maxBytes: MANIFEST_BYTES_MAX }),
      at.mediaType,
      subject,
    );
    if (document.kind === 'index') {
      at = chooseManifest(document.index, platform, `image ${at.digest} of ${directory}`);
      continue;
    }
    const { config, layers } = document.manifest;
    if (config.size > CONFIG_BYTES_MAX) invalid(`config ${config.digest} of ${directory}`, `it is larger than ${CONFIG_BYTES_MAX} bytes`);
    for (const blob of [config, ...layers]) await importBlob(session, directory, blob);
    return await loadImage(session.store, at, platform);
  }
  return invalid(`index.json of ${directory}`, `it nests deeper than ${INDEX_DEPTH_MAX}`);
}

type Selector = { readonly by: 'digest' | 'tag'; readonly value: string } | undefined;

function splitPlace(place: string): { readonly directory: string; readonly selector: Selector } {
  const at = place.lastIndexOf('@');
  if (at !== -1 && isDigest(place.slice(at + 1)))
    return { directory: place.slice(0, at), selector: { by: 'digest', value: place.slice(at + 1) } };
  const colon = place.lastIndexOf(':');
  if (colon > place.lastIndexOf('/')) return { directory: place.slice(0, colon), selector: { by: 'tag', value: place.slice(colon + 1) } };
  return { directory: place, selector: undefined };
}

function readIndex(directory: string): Buffer {
  const file = path.join(directory, 'index.json');
  let handle: number | undefined;
  try {
    handle = openSync(file, READ);
    const stat = fstatSync(handle);
    if (!stat.isFile() || stat.size > MANIFEST_BYTES_MAX) invalid(`index.json of ${directory}`, 'it is no file of a size to read');
    return readFileSync(handle);
  } catch (error) {
    if (error instanceof TsbuildError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new TsbuildError('IMAGE_NOT_FOUND', `Cannot read the OCI layout ${directory}: ${code ?? 'unknown'}`, { cause: error });
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

function selectImage({ manifests }: ImageIndex, directory: string, selector: Selector): Descriptor {
  const found =
    manifests.find((each) => isSelected(each, selector)) ?? (selector === undefined && manifests.length === 1 ? manifests[0] : undefined);
  if (found !== undefined) return found;
  const names = manifests.flatMap(({ annotations }) => annotations?.[REF_NAME] ?? []);
  throw new TsbuildError('IMAGE_NOT_FOUND', `Cannot find ${selector?.value ?? 'latest'} in the OCI layout ${directory}`, {
    hint: names.length === 0 ? 'Its images have no names: choose one with @sha256:...' : `It has ${names.slice(0, 20).join(', ')}.`,
  });
}

function isSelected({ digest, annotations }: Descriptor, selector: Selector): boolean {
  if (selector?.by === 'digest') return digest === selector.value;
  const tag = selector?.value ?? 'latest';
  return annotations?.[REF_NAME] === tag || annotations?.[FULL_NAME]?.endsWith(`:${tag}`) === true;
}

async function importBlob({ store, emit, signal }: LayoutSession, directory: string, blob: Descriptor): Promise<void> {
  if (store.content.size(blob.digest) === blob.size) return;
  const progress = transferProgress(emit, { action: 'pull', id: blob.digest, total: blob.size });
  const file = createReadStream('', { fd: openBlob(directory, blob), highWaterMark: 1 << 20 });
  try {
    await using ingest = await store.content.ingest({ size: blob.size });
    for await (const chunk of file) {
      signal.throwIfAborted();
      await ingest.write(chunk as Buffer);
      progress.add((chunk as Buffer).length);
    }
    await ingest.commit({ digest: blob.digest, size: blob.size });
  } finally {
    file.destroy();
  }
  progress.end('done');
}

/** No link on the way: a layout is itself, whatever lies beside it. */
function openBlob(directory: string, { digest }: Descriptor): number {
  const root = openDirectory(fromText(directory));
  try {
    const fd = openBeneath(root, `blobs/sha256/${hexOf(digest)}` as ByteString, READ);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
    return invalid(`OCI layout ${directory}`, `its blob ${digest} is no file`);
  } catch (cause) {
    if (cause instanceof SyscallError)
      throw new TsbuildError(
        'IMAGE_INVALID',
        `Cannot use the OCI layout ${directory}: its blob ${digest} cannot be read (${cause.errno})`,
        { cause },
      );
    throw cause;
  } finally {
    closeSync(root);
  }
}
