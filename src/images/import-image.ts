/** The tar of a root file system → an image of one layer under a name. */
import { PassThrough } from 'node:stream';
import { TsbuildError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { decompress } from '../layers/decompress.ts';
import { parallelGzip } from '../layers/parallel-gzip.ts';
import { readLayer } from '../layers/read-layer.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { normalizePlatform, type Platform } from '../oci/platform.ts';
import type { Store } from '../store/open-store.ts';
import { assembleImage } from './assemble-image.ts';
import { transferProgress } from './transfer-progress.ts';

export interface ImportSession {
  readonly store: Pick<Store, 'content' | 'images'>;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export interface RootfsToImport {
  /** A tar, plain or compressed in a way that layers may be. */
  readonly input: AsyncIterable<Buffer>;
  /** The reference of the image. */
  readonly name: string;
  readonly platform: Platform;
  /** RFC 3339; without it the image has no time in it, so that the same tar makes the same image. */
  readonly created?: string;
}

/** What a container starts with where an image says nothing. */
const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const GZIP_LEVEL = 6;
const CHUNKS_IN_FLIGHT = 8;
/** Begin gzip and zstd: a tar inside of which there is no tar. */
const COMPRESSED = /^(?:1f8b|28b52ffd|5[0-9a-f]2a4d18)/;

/**
 * Reads the tar once: checks it as a layer, compresses and stores it. Its entries stay as they are and in their order,
 * so it may be of any size. Throws LAYER_INVALID for what could not be unpacked.
 */
export async function importRootfs(session: ImportSession, rootfs: RootfsToImport): Promise<Descriptor> {
  const { store, emit } = session;
  const layer = await storeLayer(session, rootfs);
  const created = rootfs.created === undefined ? {} : { created: rootfs.created };
  const descriptor = await assembleImage(store, {
    config: {
      ...normalizePlatform(rootfs.platform),
      ...created,
      config: { Env: [DEFAULT_PATH] },
      history: [{ ...created, created_by: 'tsbuild import' }],
    },
    layers: [layer],
  });
  await store.images.set(rootfs.name, descriptor);
  const size = layer.descriptor.size + descriptor.size;
  emit({ kind: 'image', action: 'stored', digest: descriptor.digest, names: [rootfs.name], size });
  return descriptor;
}

async function storeLayer(
  { store, emit, signal }: ImportSession,
  rootfs: RootfsToImport,
): Promise<{ descriptor: Descriptor; diffId: Digest }> {
  const progress = transferProgress(emit, { action: 'pack', id: rootfs.name, total: undefined });
  /** From the reader, which pulls, to the compressor, which pulls too. */
  const copy = new PassThrough({ objectMode: true, highWaterMark: CHUNKS_IN_FLIGHT });
  await using ingest = await store.content.ingest();
  const compressed = (async () => {
    for await (const chunk of parallelGzip(copy, GZIP_LEVEL)) await ingest.write(chunk);
  })();
  // Its readers are told; without a listener it would end the process.
  copy.on('error', () => undefined);
  // Where the disk is full, the reader stops, too.
  compressed.catch((error: Error) => copy.destroy(error));
  let diffId: Digest | undefined;
  const onDiffId = (digest: Digest): void => {
    diffId = digest;
  };
  try {
    const source = copied(decompress(rootfs.input), copy, progress.add);
    for await (const _ of readLayer(source, { signal, onDiffId })) {
      // Content that is left alone is passed over, and checked.
    }
    copy.end();
  } catch (error) {
    copy.destroy(error instanceof Error ? error : undefined);
    const outcome: unknown = await compressed.catch((failure: unknown) => failure);
    // Where the compressor failed first, the reader only saw its stream close; else both failed of the same.
    throw outcome instanceof Error && error instanceof Error ? outcome : error;
  }
  await compressed;
  if (diffId === undefined) throw new Error('readLayer() told no diffID');
  const blob = await ingest.commit();
  progress.end('done');
  return { descriptor: { mediaType: MEDIA_TYPE.layerGzip, ...blob }, diffId };
}

async function* copied(
  source: AsyncIterable<Buffer>,
  copy: PassThrough,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer, void, undefined> {
  let isFirst = true;
  for await (const chunk of source) {
    if (isFirst && COMPRESSED.test(chunk.toString('hex', 0, 4))) {
      throw new TsbuildError('LAYER_INVALID', 'Cannot import the root file system: it is compressed twice');
    }
    isFirst = false;
    count(chunk.length);
    if (copy.destroyed) throw copy.errored ?? new Error('The compressor has stopped');
    if (!copy.write(chunk)) await drained(copy);
    yield chunk;
  }
}

/** Also where the stream is destroyed: then the next write tells. */
async function drained(stream: PassThrough): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}
