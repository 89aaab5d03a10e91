/** How much an archive may become: against those that are small until they are decompressed. */
import { TsbuildError } from '../errors.ts';
import { parseSize } from '../text/quantities.ts';

export interface LayerLimits {
  /** Bytes of the archive after decompression. */
  readonly maxBytes: number;
  readonly maxEntries: number;
}

/** 128 GiB, or what `$TSBUILD_MAX_LAYER_SIZE` says, such as `20g`; 20 million entries. Throws USAGE where it is no size. */
export function layerLimits(): LayerLimits {
  const asked = process.env['TSBUILD_MAX_LAYER_SIZE'] || '128g';
  const maxBytes = parseSize(asked);
  if (maxBytes === undefined) {
    throw new TsbuildError('USAGE', `Cannot read TSBUILD_MAX_LAYER_SIZE: ${JSON.stringify(asked)} is no size`, {
      hint: 'Write a number and a unit, such as 20g.',
    });
  }
  return { maxBytes, maxEntries: 20_000_000 };
}
