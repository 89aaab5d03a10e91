import type { Rule } from './rule.ts';
import { fromWords, keywordOf } from './written-words.ts';

/** Source: Docker's build checks, "FromAsCasing". A FROM of mixed case is ConsistentInstructionCasing's. */
export const fromAsCasing: Rule = {
  name: 'FromAsCasing',
  description: 'AS is written in the case of its FROM',
  check: ({ stages }) =>
    stages.flatMap(({ from }) => {
      const keyword = keywordOf(from);
      const { as } = fromWords(from);
      if (as === undefined || agrees(keyword, as)) return [];
      return [{ range: from.range, detail: `${JSON.stringify(as)} is not in the case of ${JSON.stringify(keyword)}` }];
    }),
};

function agrees(keyword: string, as: string): boolean {
  if (keyword === keyword.toLowerCase()) return as === as.toLowerCase();
  return keyword !== keyword.toUpperCase() || as === as.toUpperCase();
}
