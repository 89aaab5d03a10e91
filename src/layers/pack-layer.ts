/** Changes to a blob in one pass: archive, hash, compress, hash, write. Each byte is read once. */
import { createHash, type Hash } from 'node:crypto';
import { MEDIA_TYPE } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Changeset } from '../tree/change.ts';
import { writeLayerTar } from './layer-tar.ts';
import { parallelGzip } from './parallel-gzip.ts';

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
  readonly compression: 'gzip' | 'none';
  /** zlib's level; 6 where it is absent. */
  readonly level?: number;
  readonly clampTimeSeconds?: number;
  readonly signal?: AbortSignal;
  onProgress?(tarBytes: number): void;
}

export interface BlobSink {
  write(chunk: Buffer): Promise<void> | void;
}

const LEVEL_DEFAULT = 6;

/** The caller commits or drops the sink. A chunk handed to it belongs to it. */
export async function packLayer(changes: Changeset, sink: BlobSink, options: PackLayerOptions): Promise<PackedLayer> {
  const tar = { hash: createHash('sha256'), size: 0 };
  const blob = { hash: createHash('sha256'), size: 0 };
  const archive = counted(writeLayerTar(changes, options), tar, options.onProgress?.bind(options));
  const bytes = options.compression === 'none' ? archive : parallelGzip(archive, options.level ?? LEVEL_DEFAULT);
  for await (const chunk of bytes) {
    options.signal?.throwIfAborted();
    if (options.compression !== 'none') blob.hash.update(chunk);
    blob.size += chunk.length;
    await sink.write(chunk);
  }
  const diffId: Digest = `sha256:${tar.hash.digest('hex')}`;
  if (options.compression === 'none') return { diffId, digest: diffId, size: tar.size, mediaType: MEDIA_TYPE.layer, tarSize: tar.size };
  const digest: Digest = `sha256:${blob.hash.digest('hex')}`;
  return { diffId, digest, size: blob.size, mediaType: MEDIA_TYPE.layerGzip, tarSize: tar.size };
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
