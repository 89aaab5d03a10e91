/** How much an archive may become: against those that are small until they are decompressed. */
import { TsbuildError } from '../errors.ts';

export interface LayerLimits {
  /** Bytes of the archive after decompression. */
  readonly maxBytes: number;
  readonly maxEntries: number;
}

const GIB = 2 ** 30;
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: GIB, t: 2 ** 40 };

/** 128 GiB, or what `$TSBUILD_MAX_LAYER_SIZE` says, such as `20g`; 20 million entries. Throws USAGE where it is no size. */
export function layerLimits(): LayerLimits {
  const asked = process.env['TSBUILD_MAX_LAYER_SIZE'] || '128g';
  const match = /^(\d{1,15})([kmgt]?)b?$/i.exec(asked);
  const unit = UNITS[match?.[2]?.toLowerCase() ?? ''];
  if (match === null || unit === undefined) {
    throw new TsbuildError('USAGE', `Cannot read TSBUILD_MAX_LAYER_SIZE: ${JSON.stringify(asked)} is no size`, {
      hint: 'Write a number and a unit, such as 20g.',
    });
  }
  return { maxBytes: Number(match[1]) * unit, maxEntries: 20_000_000 };
}
