/** Layers being packed by one call: each once, however many ask for it, and few at a time, since compression itself uses every core. */
import type { LayerRecord } from '../../cache/build-cache.ts';

const AT_ONCE_MAX = 2;

/** Disposing waits for what is still being packed: it reads snapshots and writes to the store. */
export interface LayerPacking extends AsyncDisposable {
  /** The result of `make`, of whoever asked for `key` first; of one's own where that one failed, who may have been interrupted. */
  once(key: string, make: () => Promise<LayerRecord>): Promise<LayerRecord>;
}

export function openLayerPacking(): LayerPacking {
  const running = new Map<string, Promise<LayerRecord>>();
  let limited: Promise<<T>(make: () => Promise<T>) => Promise<T>> | undefined;
  return {
    async once(key, make) {
      const others = await running.get(key)?.catch(() => undefined);
      if (others !== undefined) return others;
      limited ??= import('p-limit').then(({ default: pLimit }) => pLimit(AT_ONCE_MAX));
      const limit = await limited;
      const promise = running.get(key) ?? limit(make).finally(() => running.delete(key));
      running.set(key, promise);
      return await promise;
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(running.values());
    },
  };
}
