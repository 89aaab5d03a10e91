/** Changes to a blob in one pass: archive, hash, compress, hash, write. Each byte is read once. */
import { createHash, type Hash } from 'node:crypto';
import type { Digest } from '../oci/digest.ts';
import type { Changeset } from '../tree/change.ts';
import { type Compression, compress, LAYER_TYPES } from './compress.ts';
import { writeLayerTar } from './layer-tar.ts';

export interface PackedLayer {
  /** Of the archive before compression. */
  readonly diffId: Digest;
  /** Of the blob. */
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  readonly mediaType: string;
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

/** The caller commits or drops the sink. A chunk handed to it belongs to it. */
export async function packLayer(changes: Changeset, sink: BlobSink, options: PackLayerOptions): Promise<PackedLayer> {
  const { clampTimeSeconds, signal } = options;
  const archive = writeLayerTar(changes, {
    ...(clampTimeSeconds === undefined ? {} : { clampTimeSeconds }),
    ...(signal === undefined ? {} : { signal }),
  });
  return await packArchive(archive, sink, options);
}

/** The same for an archive that is there. */
export async function packArchive(
  source: AsyncIterable<Buffer>,
  sink: BlobSink,
  { compression, signal, onProgress }: Omit<PackLayerOptions, 'clampTimeSeconds'>,
): Promise<PackedLayer> {
  const tar = { hash: createHash('sha256'), size: 0 };
  const blob = { hash: createHash('sha256'), size: 0 };
  const isCompressed = compression.type !== 'uncompressed';
  for await (const chunk of compress(counted(source, tar, onProgress), compression)) {
    signal?.throwIfAborted();
    if (isCompressed) blob.hash.update(chunk);
    blob.size += chunk.length;
    await sink.write(chunk);
  }
  const diffId: Digest = `sha256:${tar.hash.digest('hex')}`;
  const digest: Digest = isCompressed ? `sha256:${blob.hash.digest('hex')}` : diffId;
  return { diffId, digest, size: blob.size, mediaType: LAYER_TYPES[compression.type], tarSize: tar.size };
}

async function* counted(
  source: AsyncIterable<Buffer>,
  into: { hash: Hash; size: number },
  onProgress: ((tarBytes: number) => void) | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of source) {
    into.hash.update(chunk);
    into.size += chunk.length;
    onProgress?.(into.size);
    yield chunk;
  }
}
