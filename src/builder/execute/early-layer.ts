/** A layer that is packed while the files of its step are written, so that their bytes are read once. */
import { layerRecordKey } from '../../cache/layer-record-key.ts';
import { type PackedLayer, packLayer } from '../../layers/pack-layer.ts';
import type { Ingest } from '../../store/ingest.ts';
import type { Changeset } from '../../tree/change.ts';
import { commitLayer, formOf, once, type Packing, packOptions } from './pack-snapshot.ts';
import type { BuildResources } from './resources.ts';

/** Disposing drops what was not kept. */
export interface EarlyLayer extends AsyncDisposable {
  /** The snapshot is committed: from now on whoever packs it gets this layer. */
  keep(): void;
}

/** Where layers are wanted at all, and may be packed before the last step has ended. */
export function earlyPacking({ options: { jobs, packings } }: BuildResources): Packing | undefined {
  return jobs.most === 1 ? undefined : packings[0];
}

/** `write` has the files written and their changes packed; undefined where these may not be what the snapshot `name` will yield. */
export async function earlyLayer(
  resources: BuildResources,
  { name, packing }: { readonly name: string; readonly packing: Packing },
  write: (pack: (changes: Changeset) => Promise<PackedLayer>) => Promise<PackedLayer | undefined>,
): Promise<EarlyLayer | undefined> {
  const id = name.slice(0, 12);
  let ingest: Ingest | undefined;
  let packed: PackedLayer | undefined;
  try {
    packed = await write(async (changes) => {
      ingest = await resources.store.content.ingest();
      return await packLayer(changes, ingest, { ...packOptions(resources, id), ...packing });
    });
  } finally {
    if (packed === undefined) await ingest?.abort();
  }
  return packed && ingest && early(resources, { key: layerRecordKey(name, formOf(packing)), id, name }, { ingest, packed });
}

function early(
  resources: BuildResources,
  { key, id, name }: { readonly key: string; readonly id: string; readonly name: string },
  layer: { readonly ingest: Ingest; readonly packed: PackedLayer },
): EarlyLayer {
  let isKept = false;
  return {
    keep() {
      isKept = true;
      // Whoever wants the layer waits for it, or packs it again where this fails.
      once(resources, key, async () => {
        await using _ = layer.ingest;
        const createdAt = resources.snapshots.get(name)?.createdAt;
        return { ...(await commitLayer(resources, id, layer)), snapshot: name, createdAt };
      }).catch(() => {});
    },
    async [Symbol.asyncDispose]() {
      if (!isKept) await layer.ingest.abort();
    },
  };
}
