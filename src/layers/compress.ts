/** What a layer's archive is compressed with. Source: OCI image-spec layer.md; media-types.md. */
import { TsbuildError, unreachable } from '../errors.ts';
import { MEDIA_TYPE } from '../oci/descriptor.ts';
import { parallelGzip } from './parallel-gzip.ts';
import { parallelZstd } from './parallel-zstd.ts';

export const COMPRESSIONS = ['uncompressed', 'gzip', 'zstd', 'estargz'] as const;
export type CompressionType = (typeof COMPRESSIONS)[number];

export interface Compression {
  readonly type: CompressionType;
  /** gzip and estargz: 0 to 9, as zlib has them; zstd: 0 to 22, where 0 is libzstd's own choice; uncompressed: 0. */
  readonly level: number;
}

/** What leaves the archive as it is: eStargz adds to it. */
export type PlainCompression = Compression & { readonly type: Exclude<CompressionType, 'estargz'> };

export const GZIP: PlainCompression = { type: 'gzip', level: 6 };

const LEVELS: Readonly<Record<CompressionType, { readonly default: number; readonly max: number }>> = {
  uncompressed: { default: 0, max: 0 },
  gzip: { default: GZIP.level, max: 9 },
  zstd: { default: 3, max: 22 },
  estargz: { default: GZIP.level, max: 9 },
};

/** Throws USAGE for a level that the type does not have. */
export function compressionOf(type: CompressionType, level?: number): Compression {
  const { default: normal, max } = LEVELS[type];
  if (level === undefined || (type === 'zstd' && level === 0)) return { type, level: normal };
  if (Number.isInteger(level) && level >= 0 && level <= max) return { type, level };
  throw new TsbuildError(
    'USAGE',
    `Cannot use ${level} as the compression level of ${type}: ${max === 0 ? 'it has none' : `not from 0 to ${max}`}`,
  );
}

/**
 * Compresses an archive as it is, on all cores. The bytes depend on input, type and level (and the versions of zlib and libzstd) alone.
 * `spent`: told of chunks that are not used any more, where the type can tell.
 */
export function compress(
  source: AsyncIterable<Buffer>,
  { type, level }: PlainCompression,
  spent?: (chunk: Buffer) => void,
): AsyncIterable<Buffer> {
  switch (type) {
    case 'uncompressed':
      return source;
    case 'gzip':
      return parallelGzip(source, level, spent);
    case 'zstd':
      return parallelZstd(source, level);
    default:
      return unreachable(type);
  }
}

export const LAYER_TYPES: Readonly<Record<CompressionType, string>> = {
  uncompressed: MEDIA_TYPE.layer,
  gzip: MEDIA_TYPE.layerGzip,
  zstd: MEDIA_TYPE.layerZstd,
  estargz: MEDIA_TYPE.layerGzip,
};
