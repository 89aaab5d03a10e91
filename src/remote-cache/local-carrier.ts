/** A cache as an OCI layout in a directory (image-spec image-layout.md). Each file appears by rename, index.json last. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { TsbuildError } from '../errors.ts';
import { writeFile } from '../exporters/write-file.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import { hexOf } from '../oci/digest.ts';
import { MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import { makeDirectories } from '../sys/make-directories.ts';
import { cacheFailure } from './cache-failure.ts';
import type { CacheCarrier } from './carrier.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface LocalPlace {
  readonly directory: string;
  readonly tag?: string | undefined;
  readonly digest?: string | undefined;
  readonly reset?: boolean | undefined;
}

export function openLocalCarrier({ directory, tag = 'latest', digest, reset = false }: LocalPlace): CacheCarrier {
  const blobs = path.join(directory, 'blobs', 'sha256');
  const pathOf = (blob: Pick<Descriptor, 'digest'>): string => path.join(blobs, hexOf(blob.digest));
  const index = path.join(directory, 'index.json');
  const wrapped = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw cacheFailure(error, directory);
    }
  };
  return {
    async readManifests() {
      return wrapped(() => {
        const all = readIndex(index);
        if (all === undefined) return [];
        const found = all.find((one) => (digest === undefined ? one.annotations?.[REF_NAME] === tag : one.digest === digest));
        return found === undefined ? [] : [readBounded(pathOf(found), MANIFEST_BYTES_MAX)];
      });
    },
    readBlob: (blob) => streamed(pathOf(blob), blob, directory),
    hasBlob: async (blob) => hasFile(pathOf(blob), blob),
    async writeBlob(blob, openBytes) {
      if (hasFile(pathOf(blob), blob)) return 'exists';
      wrapped(() => makeDirectories(blobs));
      await writeFile({ path: pathOf(blob) }, (file) => pipeline(openBytes(), file));
      return 'pushed';
    },
    async commit(manifest) {
      wrapped(() => makeDirectories(blobs));
      await writeBytes(pathOf(manifest), manifest.bytes);
      await writeBytes(path.join(directory, 'oci-layout'), canonicalJson({ imageLayoutVersion: '1.0.0' }));
      const entry = {
        mediaType: manifest.mediaType,
        digest: manifest.digest,
        size: manifest.bytes.length,
        annotations: { [REF_NAME]: tag },
      };
      const before = reset ? undefined : wrapped(() => readIndex(index));
      const others = (before ?? []).filter(({ annotations }) => annotations?.[REF_NAME] !== tag);
      await writeBytes(index, canonicalJson({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [...others, entry] }));
      if (reset) wrapped(() => removeOthers(blobs, manifest));
    },
    close: async () => {},
  };
}

/** A blob that an earlier export left whole is that blob; readers check the digest. */
function hasFile(file: string, { size }: Descriptor): boolean {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  return stat?.isFile() === true && stat.size === size;
}

/** undefined where there is none. */
function readIndex(file: string): readonly Descriptor[] | undefined {
  let bytes: Buffer;
  try {
    bytes = readBounded(file, MANIFEST_BYTES_MAX);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const document = parseManifestDocument(bytes, MEDIA_TYPE.index, file);
  return document.kind === 'index' ? document.index.manifests : [];
}

function readBounded(file: string, maxBytes: number): Buffer {
  const fd = openSync(file, READ);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > maxBytes)
      throw new TsbuildError('IMAGE_INVALID', `Cannot use ${file}: no file, or one that is too large`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function* streamed(file: string, { size }: Descriptor, directory: string): AsyncGenerator<Buffer> {
  try {
    await using handle = await open(file, READ);
    if (!(await handle.stat()).isFile()) throw new TsbuildError('IMAGE_INVALID', `Cannot use ${file}: it is no file`);
    if (size === 0) return;
    for await (const chunk of handle.createReadStream({ end: size - 1, autoClose: false })) yield chunk as Buffer;
  } catch (error) {
    throw cacheFailure(error, directory);
  }
}

async function writeBytes(file: string, bytes: Buffer): Promise<void> {
  await writeFile({ path: file }, (target) => pipeline([bytes], target));
}

function removeOthers(blobs: string, manifest: { readonly bytes: Buffer; readonly digest: Descriptor['digest'] }): void {
  const document = parseManifestDocument(manifest.bytes, undefined, 'the manifest');
  const kept = new Set([hexOf(manifest.digest)]);
  if (document.kind === 'manifest')
    for (const { digest } of [document.manifest.config, ...document.manifest.layers]) kept.add(hexOf(digest));
  for (const name of readdirSync(blobs))
    if (/^[a-f0-9]{64}$/.test(name) && !kept.has(name)) rmSync(path.join(blobs, name), { force: true });
}
