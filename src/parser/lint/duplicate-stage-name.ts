import type { Rule } from './rule.ts';

/** Source: Docker's build checks, "DuplicateStageName". Case does not make a name another one. */
export const duplicateStageName: Rule = {
  name: 'DuplicateStageName',
  description: 'No two stages have the same name',
  check: ({ stages }) => {
    const seen = new Map<string, number>();
    return stages.flatMap(({ from: { as, range } }) => {
      if (as === undefined) return [];
      const first = seen.get(as);
      seen.set(as, first ?? range.startLine);
      return first === undefined ? [] : [{ range, detail: `A stage on line ${first} is already named ${JSON.stringify(as)}` }];
    });
  },
};
