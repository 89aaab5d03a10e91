/** The entry of an index that a platform can run. Source: OCI image-spec image-index.md; the order of variants is Docker's. */
import { TsbuildError } from '../errors.ts';
import { type Descriptor, REFERENCE_TYPE } from './descriptor.ts';
import type { ImageIndex } from './manifest.ts';
import { isIndexType, isManifestType } from './parse-manifest.ts';
import { formatPlatform, normalizePlatform, type Platform } from './platform.ts';

const PLATFORMS_SHOWN = 12;

/**
 * The best entry: the platform itself, else the nearest older variant of arm; an only one that does not say. Throws
 * PLATFORM_NOT_FOUND with what there is.
 */
export function chooseManifest(index: ImageIndex, platform: Platform, subject: string): Descriptor {
  const wanted = normalizePlatform(platform);
  const entries = index.manifests.filter(isImage);
  for (const variant of variantsOf(wanted)) {
    const found = entries.find((entry) => entry.platform !== undefined && matches(entry.platform, wanted, variant));
    if (found !== undefined) return found;
  }
  const [only, ...others] = entries;
  if (only !== undefined && others.length === 0 && only.platform === undefined) return only;
  const there = [...new Set(entries.map((entry) => (entry.platform === undefined ? 'unnamed' : formatPlatform(entry.platform))))];
  throw new TsbuildError(
    'PLATFORM_NOT_FOUND',
    `Cannot use ${subject} for ${formatPlatform(wanted)}: it has no manifest for this platform`,
    {
      hint: there.length === 0 ? 'The index is empty.' : `It has ${there.slice(0, PLATFORMS_SHOWN).join(', ')}; choose with --platform.`,
    },
  );
}

/** Or an index of images. BuildKit hangs provenance into the index as images of no platform. */
function isImage({ mediaType, platform, annotations }: Descriptor): boolean {
  if (!isManifestType(mediaType) && !isIndexType(mediaType)) return false;
  return platform?.os !== 'unknown' && platform?.architecture !== 'unknown' && annotations?.[REFERENCE_TYPE] === undefined;
}

/** Acceptable variants, the best first; undefined = none given. */
function variantsOf({ architecture, variant }: Platform): readonly (string | undefined)[] {
  if (architecture !== 'arm') return [variant];
  const level = Number(/^v([5-8])$/.exec(variant ?? 'v7')?.[1]);
  return Number.isNaN(level) ? [variant] : Array.from({ length: level - 4 }, (_, index) => `v${level - index}`);
}

function matches(entry: Platform, wanted: Platform, variant: string | undefined): boolean {
  // amd64/v2 and later need more than any amd64 machine has, and normalizing forgets that.
  if (entry.architecture === 'amd64' && entry.variant !== undefined && entry.variant !== 'v1') return false;
  const normal = normalizePlatform(entry);
  return normal.os === wanted.os && normal.architecture === wanted.architecture && normal.variant === variant;
}
