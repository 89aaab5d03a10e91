/** Blobs by digest, in files `blobs/sha256/HEX`. What is read is verified; what does not match is never handed on as if it did. */
import { createHash } from 'node:crypto';
import { constants, fstatSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { type Digest, digestOf, hexOf } from '../oci/digest.ts';
import { syncDirectory } from './durable-files.ts';
import { isCode } from './error-code.ts';
import { type Ingest, openIngest } from './ingest.ts';
import type { ScratchDirectory } from './scratch-directory.ts';

export interface ContentStore {
  has(digest: Digest): boolean;
  /** Bytes on disk; undefined where the blob is not there. */
  size(digest: Digest): number | undefined;
  path(digest: Digest): string;
  /** The whole blob, verified. Throws DIGEST_MISMATCH, and IMAGE_INVALID above `maxBytes`. */
  read(digest: Digest, options?: { readonly maxBytes?: number }): Promise<Buffer>;
  /** The blob in chunks. The digest is checked at the end: DIGEST_MISMATCH comes instead of the end. */
  stream(digest: Digest): AsyncIterable<Buffer>;
  ingest(options?: { readonly size?: number }): Promise<Ingest>;
  put(bytes: Buffer): Promise<{ digest: Digest; size: number }>;
  remove(digest: Digest): void;
  list(): Digest[];
  /** A descriptor for reading, which the caller closes. The bytes are not verified. */
  open(digest: Digest): number;
  /** Makes the names of all committed blobs durable; their bytes are already. References call it before they point anywhere. */
  sync(): Promise<void>;
}

const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
const READ_BYTES_MAX = 64 << 20;
const CHUNK_BYTES = 512 << 10;
const HEX = /^[a-f0-9]{64}$/;

export function openContentStore(root: string, scratch: ScratchDirectory): ContentStore {
  const directory = join(root, 'blobs', 'sha256');
  const path = (digest: Digest): string => join(directory, hexOf(digest));
  const size = (digest: Digest): number | undefined => statSync(path(digest), { throwIfNoEntry: false })?.size;
  const ingest = (options: { readonly size?: number } = {}): Promise<Ingest> =>
    openIngest({ scratch, pathOf: path, directory: root, size: options.size });
  /** Puts under way: a second writer of the same bytes waits for the first. */
  const puts = new Map<Digest, Promise<void>>();

  return {
    path,
    size,
    ingest,
    has: (digest) => size(digest) !== undefined,
    read: (digest, options = {}) => readVerified(path(digest), digest, options.maxBytes ?? READ_BYTES_MAX),
    stream: (digest) => streamVerified(path(digest), digest),
    async put(bytes) {
      const digest = digestOf(bytes);
      let running = puts.get(digest);
      if (running === undefined) {
        running = putBytes({ digest, bytes, path: path(digest) }, ingest).finally(() => puts.delete(digest));
        puts.set(digest, running);
      }
      await running;
      return { digest, size: bytes.length };
    },
    remove: (digest) => rmSync(path(digest), { force: true }),
    list: () =>
      readdirSync(directory)
        .filter((name) => HEX.test(name))
        .sort()
        .map((name): Digest => `sha256:${name}`),
    open(digest) {
      try {
        return openSync(path(digest), READ);
      } catch (error) {
        throw isCode(error, 'ENOENT') ? missing(digest, error) : error;
      }
    },
    sync: () => syncDirectory(directory),
  };
}

/** A cached build puts the same config and manifest again: comparing the bytes is cheaper than syncing them. */
async function putBytes(
  blob: { readonly digest: Digest; readonly bytes: Buffer; readonly path: string },
  ingest: (options: { readonly size: number }) => Promise<Ingest>,
): Promise<void> {
  if (await holds(blob.path, blob.bytes)) return;
  await using writer = await ingest({ size: blob.bytes.length });
  await writer.write(blob.bytes);
  await writer.commit({ digest: blob.digest });
}

async function holds(path: string, bytes: Buffer): Promise<boolean> {
  if (statSync(path, { throwIfNoEntry: false })?.size !== bytes.length) return false;
  await using handle = await openIfThere(path);
  return handle !== undefined && (await handle.handle.readFile()).equals(bytes);
}

async function readVerified(path: string, digest: Digest, maxBytes: number): Promise<Buffer> {
  await using file = await openBlob(path, digest);
  const { size } = await file.handle.stat();
  if (size > maxBytes)
    throw new TsbuildError('IMAGE_INVALID', `Cannot read blob ${digest}: ${size} bytes, at most ${maxBytes} are accepted`);
  const bytes = await file.handle.readFile();
  const found = digestOf(bytes);
  if (found !== digest) throw rotten(file.handle, path, { digest, found });
  return bytes;
}

async function* streamVerified(path: string, digest: Digest): AsyncGenerator<Buffer> {
  await using file = await openBlob(path, digest);
  const hash = createHash('sha256');
  let next = readChunk(file.handle);
  try {
    for (let chunk = await next; chunk.length > 0; chunk = await next) {
      // The next read runs on libuv's pool while this thread hashes and the consumer works.
      next = readChunk(file.handle);
      hash.update(chunk);
      yield chunk;
    }
  } finally {
    // A consumer that stops early leaves a read under way: it ends before the file is closed.
    await next.catch(() => undefined);
  }
  const found: Digest = `sha256:${hash.digest('hex')}`;
  if (found !== digest) throw rotten(file.handle, path, { digest, found });
}

async function readChunk(handle: FileHandle): Promise<Buffer> {
  const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(CHUNK_BYTES), 0, CHUNK_BYTES, null);
  return buffer.subarray(0, bytesRead);
}

/** Takes the blob out of the store, so that the next pull or build writes it anew, unless somebody has done so meanwhile. */
function rotten(handle: FileHandle, path: string, { digest, found }: { digest: Digest; found: Digest }): TsbuildError {
  if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(handle.fd).ino) rmSync(path, { force: true });
  return new TsbuildError('DIGEST_MISMATCH', `Cannot use blob ${digest} of the store: its bytes are those of ${found}`, {
    hint: 'The disk changed it; the blob was removed. Pull or build the image again.',
  });
}

async function openBlob(path: string, digest: Digest): Promise<OpenFile> {
  return (await openIfThere(path)) ?? Promise.reject(missing(digest));
}

interface OpenFile extends AsyncDisposable {
  readonly handle: FileHandle;
}

async function openIfThere(path: string): Promise<OpenFile | undefined> {
  try {
    const handle = await open(path, READ);
    return { handle, [Symbol.asyncDispose]: () => handle.close() };
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function missing(digest: Digest, cause?: unknown): TsbuildError {
  return new TsbuildError('STORE_INVALID', `Cannot read blob ${digest}: not in the store`, {
    hint: 'Pull or build the image again.',
    cause,
  });
}
