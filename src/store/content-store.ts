/** Blobs by digest, in files `blobs/sha256/HEX`. What is read is verified; what does not match is never handed on as if it did. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { milliseconds } from '../clock.ts';
import { TsbuildError } from '../errors.ts';
import { type Digest, digestOf, hexOf } from '../oci/digest.ts';
import { openIfThere } from '../sys/if-there.ts';
import { readAhead } from '../sys/read-ahead.ts';
import { markUsed } from '../sys/use-mark.ts';
import { syncDirectory } from './durable-files.ts';
import { isCode } from './error-code.ts';
import { type Ingest, type IngestOptions, openIngest } from './ingest.ts';
import type { Pin } from './leases.ts';
import type { ScratchDirectory } from './scratch-directory.ts';
import { type BlobHealth, openVerifiedBlobs } from './verified-blobs.ts';

/** What is asked for, or put, is pinned (leases.ts). */
export interface ContentStore {
  has(digest: Digest): boolean;
  /** Bytes on disk; undefined where the blob is not there. */
  size(digest: Digest): number | undefined;
  path(digest: Digest): string;
  /** The whole blob, verified. Throws DIGEST_MISMATCH, and IMAGE_INVALID above `maxBytes`. */
  read(digest: Digest, options?: { readonly maxBytes?: number }): Promise<Buffer>;
  /** The blob in chunks. The digest is checked at the end: DIGEST_MISMATCH comes instead of the end. */
  stream(digest: Digest): AsyncIterable<Buffer>;
  /** Whether its bytes are its digest's: hashed once after each start of the machine, and again when stat says that the file changed. */
  health(digest: Digest): Promise<BlobHealth>;
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
/** Milliseconds for which reading may keep everything else waiting. */
const TURN_MS = 10;
const HEX = /^[a-f0-9]{64}$/;

/** `pin` undefined: for those who look at all that is there, and use nothing. */
export function openContentStore(root: string, scratch: ScratchDirectory, thread: IngestOptions['thread'], pin?: Pin): ContentStore {
  const directory = join(root, 'blobs', 'sha256');
  const path = (digest: Digest): string => join(directory, hexOf(digest));
  const pinned = (digest: Digest): string => {
    pin?.('blob', digest);
    return path(digest);
  };
  const size = (digest: Digest): number | undefined => {
    const file = pinned(digest);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat !== undefined && pin !== undefined) markUsed(file, stat);
    return stat?.size;
  };
  const verified = openVerifiedBlobs(root, pinned);
  const ingest = (options: { readonly size?: number } = {}): Promise<Ingest> =>
    openIngest({ ...{ scratch, thread, pathOf: pinned }, directory: root, size: options.size, onCommit: verified.note });
  /** Puts under way: a second writer of the same bytes waits for the first. */
  const puts = new Map<Digest, Promise<void>>();
  let turnAt = milliseconds();

  return {
    path,
    size,
    ingest,
    has: (digest) => size(digest) !== undefined,
    async read(digest, options = {}) {
      // Whoever reads one document after the other lets timers and signals in now and then.
      if (milliseconds() - turnAt > TURN_MS) {
        // Not of `timers/promises`, which a build with all steps in the cache would load for this alone.
        await new Promise((resolve) => setImmediate(resolve));
        turnAt = milliseconds();
      }
      return readVerified(pinned(digest), digest, options.maxBytes ?? READ_BYTES_MAX);
    },
    stream: (digest) => streamVerified(pinned(digest), digest),
    health: (digest) => verified.check(digest, () => hashBlob(path(digest), digest)),
    async put(bytes) {
      const digest = digestOf(bytes);
      let running = puts.get(digest);
      if (running === undefined) {
        running = putBytes({ digest, bytes, path: pinned(digest) }, ingest).finally(() => puts.delete(digest));
        puts.set(digest, running);
      }
      await running;
      return { digest, size: bytes.length };
    },
    remove(digest) {
      rmSync(path(digest), { force: true });
      verified.forget(digest);
    },
    list: () =>
      readdirSync(directory)
        .filter((name) => HEX.test(name))
        .sort()
        .map((name): Digest => `sha256:${name}`),
    open(digest) {
      const fd = openIfThere(pinned(digest), READ);
      if (fd === undefined) throw missing(digest);
      return fd;
    },
    sync: () => syncDirectory(directory),
  };
}

/** A cached build puts the same config and manifest again: comparing the bytes is cheaper than syncing them. */
async function putBytes(
  blob: { readonly digest: Digest; readonly bytes: Buffer; readonly path: string },
  ingest: (options: { readonly size: number }) => Promise<Ingest>,
): Promise<void> {
  if (holds(blob.path, blob.bytes)) return;
  await using writer = await ingest({ size: blob.bytes.length });
  await writer.write(blob.bytes);
  await writer.commit({ digest: blob.digest });
}

function holds(path: string, bytes: Buffer): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.size !== bytes.length) return false;
  const fd = openIfThere(path, READ);
  return fd !== undefined && readAndClose(fd).equals(bytes);
}

/** At once: a document is read in less time than it takes to tell a thread of libuv's pool. */
function readVerified(path: string, digest: Digest, maxBytes: number): Buffer {
  const fd = openIfThere(path, READ);
  if (fd === undefined) throw missing(digest);
  const { size, ino } = fstatSync(fd);
  if (size > maxBytes) {
    closeSync(fd);
    throw new TsbuildError('IMAGE_INVALID', `Cannot read blob ${digest}: ${size} bytes, at most ${maxBytes} are accepted`);
  }
  const bytes = readAndClose(fd);
  const found = digestOf(bytes);
  if (found !== digest) throw rotten(path, ino, { digest, found });
  return bytes;
}

function readAndClose(fd: number): Buffer {
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function* streamVerified(path: string, digest: Digest): AsyncGenerator<Buffer> {
  await using file = await openBlob(path, digest);
  const hash = createHash('sha256');
  for await (const chunk of readAhead(file.handle.fd)) {
    hash.update(chunk);
    yield chunk;
  }
  const found: Digest = `sha256:${hash.digest('hex')}`;
  if (found !== digest) throw rotten(path, (await file.handle.stat()).ino, { digest, found });
}

async function hashBlob(path: string, digest: Digest): Promise<void> {
  for await (const _chunk of streamVerified(path, digest));
}

/** Takes the blob out of the store, so that the next pull or build writes it anew, unless somebody has done so meanwhile. */
function rotten(path: string, ino: number, { digest, found }: { digest: Digest; found: Digest }): TsbuildError {
  if (statSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path, { force: true });
  return new TsbuildError('DIGEST_MISMATCH', `Cannot use blob ${digest} of the store: its bytes are those of ${found}`, {
    hint: 'The disk changed it; the blob was removed. Pull or build the image again.',
  });
}

interface OpenFile extends AsyncDisposable {
  readonly handle: FileHandle;
}

async function openBlob(path: string, digest: Digest): Promise<OpenFile> {
  try {
    const handle = await open(path, READ);
    return { handle, [Symbol.asyncDispose]: () => handle.close() };
  } catch (error) {
    throw isCode(error, 'ENOENT') ? missing(digest, error) : error;
  }
}

function missing(digest: Digest, cause?: unknown): TsbuildError {
  return new TsbuildError('STORE_INVALID', `Cannot read blob ${digest}: not in the store`, {
    hint: 'Pull or build the image again.',
    cause,
  });
}
