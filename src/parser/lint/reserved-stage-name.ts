import type { Rule } from './rule.ts';

const RESERVED: ReadonlySet<string> = new Set(['scratch', 'context']);

/** Source: Docker's build checks, "ReservedStageName". */
export const reservedStageName: Rule = {
  name: 'ReservedStageName',
  description: 'No stage is named scratch or context: these words mean something else',
  check: ({ stages }) =>
    stages.flatMap(({ from: { as, range } }) =>
      as !== undefined && RESERVED.has(as)
        ? [{ range, detail: `A stage cannot be reached by the reserved name ${JSON.stringify(as)}` }]
        : [],
    ),
};
