/** What may stay without anybody asking: the rules of the collection after builds. */
import type { Age } from './age.ts';
import { choose, type Rule } from './choose.ts';
import type { UsageItem, UsageKind } from './usage-entry.ts';

const HOUR_MS = 3_600_000;
const MIB = 2 ** 20;

/** What is cheap to get again, and grows with every project: as BuildKit has it. */
const SOURCES: ReadonlySet<UsageKind> = new Set([
  ...(['cache-mount', 'download', 'git-checkout', 'git-repository', 'context-copy', 'context-index'] as const),
]);
const SOURCES_KEPT = 512 * MIB;
const SOURCES_UNUSED_MS = 48 * HOUR_MS;
const UNUSED_MS = 60 * 24 * HOUR_MS;

/** Each rule on what the ones before leave; nothing twice. */
export function chooseByBudget(items: readonly UsageItem[], budget: number, age: Age): UsageItem[] {
  const rules: { readonly of: readonly UsageItem[]; readonly rule: Rule }[] = [
    {
      of: items.filter(({ kind }) => SOURCES.has(kind)),
      rule: { all: true, filter: { unusedForMs: SOURCES_UNUSED_MS }, keepBytes: SOURCES_KEPT },
    },
    { of: items, rule: { all: true, filter: { unusedForMs: UNUSED_MS }, keepBytes: undefined } },
    { of: items, rule: { all: false, filter: {}, keepBytes: budget } },
    { of: items, rule: { all: true, filter: {}, keepBytes: budget } },
  ];
  const gone = new Set<UsageItem>();
  for (const { of, rule } of rules) {
    const left = of.filter((item) => !gone.has(item));
    for (const item of choose(left, rule, age)) gone.add(item);
  }
  return [...gone];
}
