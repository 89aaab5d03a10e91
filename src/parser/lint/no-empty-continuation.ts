import type { Rule } from './rule.ts';

const NAME = 'NoEmptyContinuation';

/** Source: Docker's build checks, "NoEmptyContinuation". The parser sees it: later nobody knows which lines were empty. */
export const noEmptyContinuation: Rule = {
  name: NAME,
  description: 'An empty line inside a line continuation will be an error one day',
  check: ({ dockerfile }) =>
    dockerfile.warnings.filter(({ rule }) => rule === NAME).map(({ range, message }) => ({ range, detail: message })),
};
