/** History that matches the layers. Source: OCI image-spec config.md: each entry without `empty_layer` is one layer, in order. */
import type { HistoryEntry } from '../oci/image-config.ts';

/**
 * Foreign images often have no history, or one that counts otherwise. Missing entries are added at the end; where there
 * are more than layers, the last ones are marked empty.
 */
export function normalizeHistory(history: readonly HistoryEntry[] | undefined, layerCount: number): readonly HistoryEntry[] {
  let left = layerCount;
  const kept = (history ?? []).map((entry) => {
    if (entry.empty_layer === true) return entry;
    return left-- > 0 ? entry : { ...entry, empty_layer: true };
  });
  return [...kept, ...Array.from({ length: Math.max(0, left) }, () => ({ comment: 'history missing' }))];
}

/** How many layers a history tells of. */
export function layersInHistory(history: readonly HistoryEntry[]): number {
  return history.filter((entry) => entry.empty_layer !== true).length;
}
