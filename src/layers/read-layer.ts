/** A layer blob as changes: hostile input, read once, in bounded memory (OCI image-spec layer.md). */
import { createHash } from 'node:crypto';
import { TsbuildError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { type ByteString, join, nameOf, parentOf } from '../tree/byte-string.ts';
import type { Change } from '../tree/change.ts';
import { decompress } from './decompress.ts';
import { cleanTarPath, entryAddition, invalidEntry, invalidTar } from './entry-addition.ts';
import { type LayerLimits, layerLimits } from './layer-limits.ts';
import { readTar, type TarEntry } from './read-tar.ts';
import { OPAQUE_NAME, WHITEOUT_PREFIX } from './whiteout-names.ts';

export interface ReadLayerOptions {
  /** As the manifest says. What the bytes are decides; only a type that is no archive is refused. */
  readonly mediaType?: string;
  readonly limits?: LayerLimits;
  readonly signal?: AbortSignal;
  /** Called with the digest of the decompressed bytes when all of them were read. */
  onDiffId?(digest: Digest): void;
}

/** What aufs left in the root of old images; docker passes over it too. */
const AUFS_NAMES = new Set(['.wh..wh.plnk', '.wh..wh.aufs', '.wh..wh.orph']);

/**
 * Yields changes in the order of the archive, which need not be that of tree/change.ts. A change's content is to be read
 * before the next change is asked for; left alone, it is passed over. Throws LAYER_INVALID for everything that is malformed,
 * leaves the root, or goes beyond `limits`.
 */
export async function* readLayer(source: AsyncIterable<Buffer>, options: ReadLayerOptions = {}): AsyncGenerator<Change, void, undefined> {
  const { limits = layerLimits(), mediaType } = options;
  if (mediaType !== undefined && !/[./]tar(?:[.+]|$)/.test(mediaType)) {
    throw new TsbuildError('UNSUPPORTED', `Cannot read a layer of the media type ${JSON.stringify(mediaType.slice(0, 200))}`);
  }
  const hash = createHash('sha256');
  const bounded = observe(decompress(source), { maxBytes: limits.maxBytes, see: (chunk) => hash.update(chunk) });
  let entries = 0;
  for await (const entry of readTar(bounded)) {
    options.signal?.throwIfAborted();
    if (++entries > limits.maxEntries) throw invalidTar(`it has more than ${limits.maxEntries} entries`);
    const change = toChange(entry);
    if (change !== undefined) yield change;
  }
  options.onDiffId?.(`sha256:${hash.digest('hex')}`);
}

/** The chunks as they pass, up to a bound. */
export async function* observe(
  source: AsyncIterable<Buffer>,
  how: { maxBytes: number; see(chunk: Buffer): void },
): AsyncGenerator<Buffer, void, undefined> {
  let size = 0;
  for await (const chunk of source) {
    size += chunk.length;
    if (size > how.maxBytes) throw tooLarge(how.maxBytes);
    how.see(chunk);
    yield chunk;
  }
}

function toChange(entry: TarEntry): Change | undefined {
  const path = cleanTarPath(entry.name, 'name');
  const components = path.split('/');
  if (AUFS_NAMES.has(components[0] ?? '')) return undefined;
  if (components.slice(0, -1).some((name) => name.startsWith(WHITEOUT_PREFIX))) throw invalidEntry(path, 'is inside a whiteout');
  if (nameOf(path).startsWith(WHITEOUT_PREFIX)) return toDeletion(path, entry);
  return entryAddition(path, entry);
}

/** Only the base name counts: where it is, is the path's own affair. `.wh.` before nothing, `.`, `..` or itself is no name. */
function toDeletion(path: ByteString, entry: TarEntry): Change {
  const parent = parentOf(path);
  if (entry.type !== 'file' && entry.type !== 'hardlink') throw invalidEntry(path, `is a whiteout and a ${entry.type}`);
  if (nameOf(path) === OPAQUE_NAME) return { kind: 'opaque', path: parent };
  const name = nameOf(path).slice(WHITEOUT_PREFIX.length) as ByteString;
  if (name === '' || name === '.' || name === '..' || name.startsWith(WHITEOUT_PREFIX))
    throw invalidEntry(path, 'is no whiteout of a name');
  return { kind: 'delete', path: join(parent, name) };
}

function tooLarge(maxBytes: number): TsbuildError {
  return new TsbuildError('LAYER_INVALID', `Cannot read a layer: it is larger than ${maxBytes} bytes when decompressed`, {
    hint: 'If it is meant to be that large, set TSBUILD_MAX_LAYER_SIZE, such as 500g.',
  });
}
