/** Changes to a blob in one pass: archive, hash, compress, write. Each byte is read once. */
import { createHash, type Hash } from 'node:crypto';
import type { Digest } from '../oci/digest.ts';
import { returnPiece, takePiece } from '../sys/piece.ts';
import type { Changeset } from '../tree/change.ts';
import { type Compression, compress, LAYER_TYPES } from './compress.ts';
import { ESTARGZ_ANNOTATIONS, writeEstargz } from './estargz.ts';
import { writeLayerTar } from './layer-tar.ts';

export interface PackedLayer {
  /** Of the archive before compression. */
  readonly diffId: Digest;
  /** Bytes of the blob, whose digest its sink knows. */
  readonly size: number;
  readonly mediaType: string;
  /** For its place in a manifest. */
  readonly annotations: Readonly<Record<string, string>> | undefined;
  /** Bytes of the archive. */
  readonly tarSize: number;
}

export interface PackLayerOptions {
  readonly compression: Compression;
  /** Later times of files become this one; seconds since 1970. */
  readonly clampTimeSeconds?: number | undefined;
  readonly signal?: AbortSignal;
  readonly onProgress?: ((tarBytes: number) => void) | undefined;
}

export interface BlobSink {
  write(chunk: Buffer): Promise<void> | void;
}

/** The caller commits or drops the sink, which takes each chunk before `write` resolves. */
export async function packLayer(changes: Changeset, sink: BlobSink, options: PackLayerOptions): Promise<PackedLayer> {
  const { clampTimeSeconds, compression, signal } = options;
  // Memory that nobody gives back is better left to the garbage collector than shared.
  const givesBack = compression.type === 'gzip' || compression.type === 'uncompressed';
  const archive = writeLayerTar(changes, {
    ...(clampTimeSeconds === undefined ? {} : { clampTimeSeconds }),
    ...(signal === undefined ? {} : { signal }),
    ...(givesBack ? { takeChunk: takePiece } : {}),
  });
  return await packArchive(archive, sink, { ...options, ...(givesBack ? { spent: returnPiece } : {}) });
}

export interface PackArchiveOptions extends Omit<PackLayerOptions, 'clampTimeSeconds'> {
  /** Told of chunks of the archive that are not used any more. */
  readonly spent?: (chunk: Buffer) => void;
}

/** The same for an archive that is there. */
export async function packArchive(source: AsyncIterable<Buffer>, sink: BlobSink, options: PackArchiveOptions): Promise<PackedLayer> {
  const { compression, signal, onProgress, spent } = options;
  const tar: Count = { hash: createHash('sha256'), size: 0 };
  let size = 0;
  const { type, level } = compression;
  const bytes =
    type === 'estargz' ? annotated(source, level, { tar, onProgress }) : compress(counted(source, tar, onProgress), { type, level }, spent);
  const iterator = bytes[Symbol.asyncIterator]();
  let annotations: PackedLayer['annotations'];
  try {
    for (let next = await iterator.next(); ; next = await iterator.next()) {
      signal?.throwIfAborted();
      if (next.done === true) {
        annotations = next.value;
        break;
      }
      size += next.value.length;
      await sink.write(next.value);
      if (type === 'uncompressed') spent?.(next.value);
    }
  } finally {
    await iterator.return?.();
  }
  const diffId: Digest = `sha256:${tar.hash.digest('hex')}`;
  return { diffId, size, mediaType: LAYER_TYPES[type], annotations, tarSize: tar.size };
}

interface Count {
  hash: Hash;
  size: number;
}

/** Returns what the manifest is to say of the layer. */
async function* annotated(
  source: AsyncIterable<Buffer>,
  level: number,
  { tar, onProgress }: { tar: Count; onProgress: PackLayerOptions['onProgress'] },
): AsyncGenerator<Buffer, NonNullable<PackedLayer['annotations']>, undefined> {
  const toc = yield* writeEstargz(source, level, (plain) => {
    tar.hash.update(plain);
    tar.size += plain.length;
    onProgress?.(tar.size);
  });
  return { [ESTARGZ_ANNOTATIONS.toc]: toc, [ESTARGZ_ANNOTATIONS.size]: String(tar.size) };
}

async function* counted(
  source: AsyncIterable<Buffer>,
  into: Count,
  onProgress: ((tarBytes: number) => void) | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of source) {
    into.hash.update(chunk);
    into.size += chunk.length;
    onProgress?.(into.size);
    yield chunk;
  }
}
