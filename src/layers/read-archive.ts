/** A tar that ADD unpacks, as changes: plain tar, where a name such as `.wh.x` is an ordinary name and nothing is deleted. */
import type { AddChange } from '../tree/change.ts';
import { cleanTarPath, entryAddition, invalidTar } from './entry-addition.ts';
import { type LayerLimits, layerLimits } from './layer-limits.ts';
import { observe } from './read-layer.ts';
import { readTar } from './read-tar.ts';

export interface ReadArchiveOptions {
  readonly limits?: LayerLimits;
  readonly signal?: AbortSignal;
}

/**
 * `source` is the tar, decompressed. Yields entries in the archive's order, paths relative to its root; content is to be read
 * before the next entry is asked for. Throws LAYER_INVALID for everything that is malformed, leaves the root, or goes beyond `limits`.
 */
export async function* readArchive(
  source: AsyncIterable<Buffer>,
  options: ReadArchiveOptions = {},
): AsyncGenerator<AddChange, void, undefined> {
  const { limits = layerLimits(), signal } = options;
  let entries = 0;
  for await (const entry of readTar(observe(source, { maxBytes: limits.maxBytes, see: () => undefined }))) {
    signal?.throwIfAborted();
    if (++entries > limits.maxEntries) throw invalidTar(`it has more than ${limits.maxEntries} entries`);
    yield entryAddition(cleanTarPath(entry.name, 'name'), entry);
  }
}
