/** Which manifest of an index is for a platform. Source: OCI image-spec image-index.md. */
import type { Descriptor } from '../oci/descriptor.ts';
import type { ImageIndex } from '../oci/manifest.ts';
import { isIndexType, isManifestType } from '../oci/parse-manifest.ts';
import { normalizePlatform, type Platform, samePlatform } from '../oci/platform.ts';

/** Marks what BuildKit puts beside images; their platform is `unknown/unknown`. */
const ATTESTATION = 'vnd.docker.reference.type';
/** arm machines run what was built for older ones. */
const ARM_VARIANTS = ['v8', 'v7', 'v6', 'v5'];

/** The first exact match; on arm else the newest older variant; else undefined. Attestations are never chosen. */
export function chooseManifest(index: ImageIndex, platform: Platform): Descriptor | undefined {
  const images = imagesOf(index);
  for (const candidate of acceptable(platform)) {
    const match = images.find((descriptor) => descriptor.platform !== undefined && samePlatform(descriptor.platform, candidate));
    if (match !== undefined) return match;
  }
  // An index of one image need not say for which platform: the config does.
  const [only, ...others] = images;
  return others.length === 0 && only?.platform === undefined ? only : undefined;
}

export function imagesOf(index: ImageIndex): readonly Descriptor[] {
  return index.manifests.filter(
    ({ mediaType, platform, annotations }) =>
      (isManifestType(mediaType) || isIndexType(mediaType)) && platform?.os !== 'unknown' && annotations?.[ATTESTATION] === undefined,
  );
}

function acceptable(platform: Platform): readonly Platform[] {
  const { os, architecture, variant } = normalizePlatform(platform);
  if (architecture !== 'arm') return [{ os, architecture, ...(variant === undefined ? {} : { variant }) }];
  return ARM_VARIANTS.slice(Math.max(0, ARM_VARIANTS.indexOf(variant ?? 'v7'))).map((older) => ({ os, architecture, variant: older }));
}
