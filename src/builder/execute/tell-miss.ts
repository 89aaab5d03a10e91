/** Says why a step is not in the cache, and keeps what it was made of for the next time. */
import { hash } from 'node:crypto';
import type { CacheKey } from '../../cache/cache-key.ts';
import { explainMiss } from '../../cache/explain-miss.ts';
import type { StepAccount } from '../../cache/step-account.ts';
import type { MissReason, StepLabel } from '../../events.ts';
import type { BuildResources } from './resources.ts';
import type { FilesOrigin } from './stage-state.ts';

export interface Telling {
  /** Its id is the step's place in the Dockerfile. */
  readonly label: StepLabel;
  readonly origin: FilesOrigin;
  /** Of the step with this key. */
  account(key: CacheKey): Promise<StepAccount>;
}

export interface ToldStep {
  readonly key: CacheKey;
  readonly telling: Telling | undefined;
}

/** Where the caller asked for it. */
export async function tellMiss(resources: BuildResources, { key, telling }: ToldStep): Promise<void> {
  const { emit, options } = resources;
  if (telling === undefined || !options.explain) return;
  emit({ kind: 'step-miss', step: telling.label, reasons: await reasonsOf(resources, key, telling) });
}

async function reasonsOf({ cache, options }: BuildResources, key: CacheKey, telling: Telling): Promise<readonly MissReason[]> {
  if (options.cache === 'ignore') return [{ kind: 'no-cache' }];
  return explainMiss(await telling.account(key), cache.accounts().of(placeOf(options.place, telling)), telling.origin);
}

/** After the step was made, or found where nothing was made before: so a hit costs no more than to see that. */
export async function rememberStep({ cache, options }: BuildResources, step: ToldStep, how: 'made' | 'found'): Promise<void> {
  const { key, telling } = step;
  if (telling === undefined) return;
  const accounts = cache.accounts();
  const place = placeOf(options.place, telling);
  if (how === 'made' || !accounts.has(place)) accounts.add(place, await telling.account(key));
}

function placeOf(build: string, { label }: Telling): string {
  return hash('sha256', JSON.stringify([build, label.id]));
}
