/** Image references: a name → the descriptor of a manifest or index. One file each; replacing it is the one commit point of a build or pull. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseDigest } from '../oci/digest.ts';
import { fieldsOf, requiredString, sizeField } from '../oci/json-fields.ts';
import { isConfigType, isIndexType, isManifestType } from '../oci/parse-manifest.ts';
import { formatReference, parseReference } from '../oci/reference.ts';
import { parseStrictJson } from '../oci/strict-json.ts';
import { openSealedJson, sealedJson } from '../sealed-json.ts';
import type { ContentStore } from './content-store.ts';
import { reachableFrom } from './descriptor-children.ts';
import { syncDirectory, writeDurably } from './durable-files.ts';
import { isCode } from './error-code.ts';
import { imagePin, type Pin } from './leases.ts';
import type { ScratchDirectory } from './scratch-directory.ts';

export interface StoredImage {
  /** As `formatReference` writes it. */
  readonly name: string;
  /** Of the manifest or index. */
  readonly descriptor: Descriptor;
  /** When the name was last pointed elsewhere; RFC 3339. */
  readonly createdAt: string;
}

/** Names are taken in any form that `parseReference` reads. What is found is pinned, with all that it leads to. */
export interface ImageStore {
  get(name: string): StoredImage | undefined;
  /** Newest first. */
  list(): StoredImage[];
  /** When this resolves, the name and all blobs committed before survive power loss. */
  set(name: string, descriptor: Descriptor): Promise<void>;
  /** Takes the name away; the blobs wait for garbage collection. false where there was none. */
  remove(name: string): boolean;
  /**
   * A name, or a digest or at least its first two hex digits: of a manifest, index or config (the image ID).
   * A name wins over hex digits. Throws REFERENCE_INVALID where the digits fit several images.
   */
  resolve(prefixOrName: string): StoredImage | undefined;
}

const HEX_PREFIX = /^(?:sha256:)?([a-f0-9]{2,64})$/;
/** File names end at 255 bytes; longer references are named by their digest. */
const FILE_NAME_MAX = 200;

export interface ImageStoreOptions {
  readonly scratch: ScratchDirectory;
  readonly content: ContentStore;
  /** Milliseconds since the epoch; the clock of `createdAt`. */
  readonly now: () => number;
  /** Undefined: for those who look at all that is there, and use nothing. */
  readonly pin?: Pin;
}

export function openImageStore(root: string, options: ImageStoreOptions): ImageStore {
  const { scratch, content, now, pin } = options;
  const read = (path: string): StoredImage | undefined => readPinned(path, pin);
  const directory = join(root, 'refs');
  const pathOf = (name: string): string => join(directory, fileNameOf(name));
  const list = (): StoredImage[] =>
    readdirSync(directory)
      .flatMap((file) => read(join(directory, file)) ?? [])
      .sort(newestFirst);

  return {
    get: (name) => read(pathOf(normalName(name))),
    list,
    async set(name, descriptor) {
      const normal = normalName(name);
      const { mediaType, digest, size } = descriptor;
      if (content.size(digest) !== size) throw new Error(`Image ${normal} would point to ${digest}, which is not in the store`);
      const old = readIfGood(pathOf(normal));
      const isSame = old?.descriptor.digest === digest && old.descriptor.mediaType === mediaType;
      // A name that is there already may not be durable yet: who wrote it may have been killed before.
      await Promise.all([content.sync(), ...(isSame ? [syncDirectory(directory)] : [])]);
      if (isSame) return;
      const record = { name: normal, descriptor: { mediaType, digest, size }, createdAt: new Date(now()).toISOString() };
      await writeDurably(scratch, pathOf(normal), Buffer.from(sealedJson(record)));
    },
    remove(name) {
      try {
        rmSync(pathOf(normalName(name)));
        return true;
      } catch (error) {
        if (isCode(error, 'ENOENT')) return false;
        throw error;
      }
    },
    resolve(text) {
      const prefix = HEX_PREFIX.exec(text)?.[1];
      if (text.startsWith('sha256:')) return prefix === undefined ? undefined : findByPrefix(content, list(), prefix);
      const named = read(pathOf(normalName(text)));
      return named ?? (prefix === undefined ? undefined : findByPrefix(content, list(), prefix));
    },
  };
}

function normalName(name: string): string {
  return formatReference(parseReference(name));
}

function fileNameOf(name: string): string {
  const encoded = encodeURIComponent(name);
  const short = encoded.length <= FILE_NAME_MAX ? encoded : `sha256-${createHash('sha256').update(name).digest('hex')}`;
  return `${short}.json`;
}

function newestFirst(a: StoredImage, b: StoredImage): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? 1 : -1;
  return a.name < b.name ? -1 : 1;
}

/** Pinned before it is certain that the name still leads there: then it does, and what it leads to is kept. */
function readPinned(path: string, pin: Pin | undefined): StoredImage | undefined {
  for (let image = readImage(path); ; ) {
    if (image === undefined || pin === undefined) return image;
    pin(...imagePin(image.descriptor));
    const now = readImage(path);
    if (now?.descriptor.digest === image.descriptor.digest) return now;
    image = now;
  }
}

function readImage(path: string): StoredImage | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    return parseImage(bytes, path);
  } catch (cause) {
    if (!(cause instanceof TsbuildError)) throw cause;
    throw new TsbuildError('STORE_INVALID', `Cannot read image reference ${path}: ${cause.message}`, {
      hint: 'Something else than tsbuild wrote to this file. Remove it, then pull or build the image again.',
      cause,
    });
  }
}

/** A new reference takes the place of one that something else has changed. */
function readIfGood(path: string): StoredImage | undefined {
  try {
    return readImage(path);
  } catch (error) {
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_STORE_INVALID') return undefined;
    throw error;
  }
}

function parseImage(bytes: Buffer, path: string): StoredImage {
  const fields = fieldsOf(parseStrictJson(bytes, path), path, []);
  checkSeal(bytes, fields.object);
  const name = requiredString(fields, 'name');
  if (fileNameOf(name) !== basename(path)) throw new TsbuildError('STORE_INVALID', `it is that of ${name}`);
  const descriptor = fieldsOf(fields.object.descriptor, path, []);
  return {
    name,
    createdAt: requiredString(fields, 'createdAt'),
    descriptor: {
      mediaType: requiredString(descriptor, 'mediaType'),
      digest: parseDigest(descriptor.object.digest),
      size: sizeField(descriptor, 'size'),
    },
  };
}

/** References from before there were seals have these three members. */
const UNSEALED = ['createdAt', 'descriptor', 'name'];

function checkSeal(bytes: Buffer, object: Readonly<Record<string, unknown>>): void {
  if (String(Object.keys(object).sort()) === String(UNSEALED)) return;
  if (openSealedJson(bytes.toString('utf8')) === undefined) throw new TsbuildError('STORE_INVALID', 'its seal is broken');
}

/** Several names of one image are no ambiguity: the newest stands for all. */
function findByPrefix(content: ContentStore, images: readonly StoredImage[], prefix: string): StoredImage | undefined {
  const found = images.filter((image) => identitiesOf(content, image.descriptor).some((digest) => digest.startsWith(`sha256:${prefix}`)));
  const digests = new Set(found.map((image) => image.descriptor.digest));
  if (digests.size > 1) {
    throw new TsbuildError('REFERENCE_INVALID', `Cannot tell which image ${prefix} is: ${digests.size} images begin with it`, {
      hint: 'Give more digits, or the name.',
    });
  }
  return found[0];
}

/** Digests that people call this image by: its own, its manifests', their configs'. */
function identitiesOf(content: ContentStore, descriptor: Descriptor): string[] {
  return reachableFrom(content, [descriptor])
    .filter(({ mediaType }) => isManifestType(mediaType) || isIndexType(mediaType) || isConfigType(mediaType))
    .map(({ digest }) => digest);
}
