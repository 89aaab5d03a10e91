/** How an image is written down: everything about it that is not its files and its config. */
import type { Compression } from '../layers/compress.ts';
import { normalizePlatform, type Platform, samePlatform } from '../oci/platform.ts';

export interface ImageFormat {
  /** Of layers that are made; layers of a base image keep theirs unless `forceCompression`. */
  readonly compression: Compression;
  /** Layers of a base image that are compressed in another way are compressed anew. */
  readonly forceCompression: boolean;
  /** `docker`: image manifest version 2, schema 2, which has no annotations and no zstd. */
  readonly mediaTypes: 'oci' | 'docker';
  /** The time of the config and of history; seconds since 1970. undefined: when the steps ran. */
  readonly sourceDateEpoch: number | undefined;
  /** Files of layers that are made are not later than `sourceDateEpoch`. */
  readonly rewriteTimestamp: boolean;
  readonly annotations: readonly ImageAnnotation[];
}

/** A string for whoever reads the image. Source: OCI image-spec annotations.md; where it goes: docker buildx `--annotation`. */
export interface ImageAnnotation {
  readonly on: 'manifest' | 'index' | 'manifest-descriptor' | 'index-descriptor';
  /** Of the manifest; every one where it is absent. */
  readonly platform?: Platform | undefined;
  readonly key: string;
  readonly value: string;
}

export type Annotations = Readonly<Record<string, string>>;

/** Those of one place as a field, the last of a key winning; nothing at all where there are none. */
export function annotationsField(
  { annotations }: Pick<ImageFormat, 'annotations'>,
  on: ImageAnnotation['on'],
  platform?: Platform,
): { readonly annotations?: Annotations } {
  const chosen = annotations.filter(
    (one) =>
      one.on === on && (one.platform === undefined || (platform !== undefined && samePlatform(one.platform, normalizePlatform(platform)))),
  );
  if (chosen.length === 0) return {};
  return { annotations: Object.fromEntries(new Map(chosen.map(({ key, value }) => [key, value]))) };
}
