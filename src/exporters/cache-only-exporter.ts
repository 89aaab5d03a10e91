/** `type=cacheonly`: the steps have run, and that is all. */
import type { CacheOnlyOutput, Exporter } from './output.ts';

export const cacheOnlyExporter: Exporter<CacheOnlyOutput> = {
  attributes: [],
  parse: () => ({ type: 'cacheonly' }),
  run: async () => undefined,
};
