/** What the manifests and indexes in the store refer to. */
import { readFileSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { digestOf } from '../oci/digest.ts';
import { isIndexType, isManifestType, MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import type { ContentStore } from './content-store.ts';
import { isCode } from './error-code.ts';

/** How deep indexes may nest. */
const DEPTH_MAX = 8;

/**
 * `roots` and all they lead to, each digest once: an index may name another a thousand times over. Nearest first, so
 * that the bound on depth does not depend on the way taken. `known`: children found before, which a digest decides for good.
 */
export function reachableFrom(
  content: ContentStore,
  roots: readonly Descriptor[],
  known = new Map<string, readonly Descriptor[]>(),
): readonly Descriptor[] {
  const children = (descriptor: Descriptor): readonly Descriptor[] => {
    const key = `${descriptor.mediaType} ${descriptor.digest}`;
    const found = known.get(key) ?? childrenOf(content, descriptor);
    if (found.length > 0) known.set(key, found);
    return found;
  };
  const seen = new Map(roots.map((root) => [root.digest, root]));
  let level = [...seen.values()];
  for (let depth = 0; depth < DEPTH_MAX && level.length > 0; depth++) {
    const next = level.flatMap(children).filter((child) => !seen.has(child.digest));
    for (const child of next) seen.set(child.digest, child);
    level = [...new Map(next.map((child) => [child.digest, child])).values()];
  }
  return [...seen.values()];
}

/**
 * Config first, then layers, of a manifest; the manifests of an index. Empty for other media types, and where the blob is
 * missing or is not what its descriptor says: then nobody can use what it may have referred to.
 */
export function childrenOf(content: ContentStore, descriptor: Descriptor): readonly Descriptor[] {
  if (!isManifestType(descriptor.mediaType) && !isIndexType(descriptor.mediaType)) return [];
  const bytes = readIfGood(content, descriptor);
  if (bytes === undefined) return [];
  try {
    const document = parseManifestDocument(bytes, descriptor.mediaType, `manifest ${descriptor.digest}`);
    return document.kind === 'index' ? document.index.manifests : [document.manifest.config, ...document.manifest.layers];
  } catch (error) {
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_IMAGE_INVALID') return [];
    throw error;
  }
}

function readIfGood(content: ContentStore, descriptor: Descriptor): Buffer | undefined {
  const size = content.size(descriptor.digest);
  if (size === undefined || size > MANIFEST_BYTES_MAX) return undefined;
  try {
    const bytes = readFileSync(content.path(descriptor.digest));
    return digestOf(bytes) === descriptor.digest ? bytes : undefined;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
