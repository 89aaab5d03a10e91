/** What the steps of a build left, made now or found: noted while they run, for whoever exports it. */
import type { CacheKey } from '../../cache/cache-key.ts';
import type { StepResult } from './cached-step.ts';

export interface UsedStep {
  readonly key: CacheKey;
  readonly parent: CacheKey;
  readonly result: StepResult;
  /** Of a layer by itself (`--link`). */
  readonly ground?: readonly string[] | undefined;
}

export interface UsedSteps {
  add(step: Pick<UsedStep, 'key' | 'parent'>, result: StepResult, ground?: readonly string[]): void;
  /** Each step once, in the order in which they ended. */
  list(): readonly UsedStep[];
  /** The build starts over. */
  clear(): void;
}

export function openUsedSteps(): UsedSteps {
  const steps = new Map<CacheKey, UsedStep>();
  return {
    add: ({ key, parent }, result, ground) => void steps.set(key, { key, parent, result, ground }),
    list: () => [...steps.values()],
    clear: () => steps.clear(),
  };
}
