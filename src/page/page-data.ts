/** What a page is made of: a record, and what was looked up for it. Plain values. */
import type { BuildRecord } from '../records/build-record.ts';

export interface PageData {
  readonly record: BuildRecord;
  /** By ids of steps. */
  readonly logs: ReadonlyMap<string, LogText>;
  /** By the positions of `record.images`. */
  readonly images: readonly ImageContents[];
  /** RFC 3339. */
  readonly madeAt: string;
}

export interface LogText {
  readonly text: string;
  /** Bytes between its beginning and its end that are not in `text`; `text` says where. */
  readonly leftOut: number;
}

export interface ImageContents {
  readonly platform: string;
  /** In the order of the record. */
  readonly layers: readonly LayerFinding[];
  readonly wasted: readonly WastedPath[];
  /** Bytes in files, and of these, those that later layers hide; of all layers that could be read. */
  readonly bytes: number;
  readonly wastedBytes: number;
  /** false: a layer could not be read, or there was more than is looked at. */
  readonly isWhole: boolean;
}

export type LayerFinding =
  | {
      readonly kind: 'read';
      readonly files: number;
      readonly bytes: number;
      readonly wasted: number;
      readonly largest: readonly LargeFile[];
    }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unread'; readonly why: string };

/** Paths as they are shown. */
export interface LargeFile {
  readonly path: string;
  readonly bytes: number;
}

export interface WastedPath extends LargeFile {
  readonly layer: number;
  readonly by: number;
  readonly how: 'deleted' | 'overwritten';
}

/** How much of what was stored is seen by whoever runs the image, in per cent. */
export function efficiency({ bytes, wastedBytes }: Pick<ImageContents, 'bytes' | 'wastedBytes'>): number {
  return bytes === 0 ? 100 : (100 * (bytes - wastedBytes)) / bytes;
}
