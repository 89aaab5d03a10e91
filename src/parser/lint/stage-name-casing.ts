import type { Rule } from './rule.ts';
import { fromWords } from './written-words.ts';

/** Source: Docker's build checks, "StageNameCasing". */
export const stageNameCasing: Rule = {
  name: 'StageNameCasing',
  description: 'Stage names are written in lower case',
  check: ({ stages }) =>
    stages.flatMap(({ from }) => {
      const { name } = fromWords(from);
      if (name === undefined || name === name.toLowerCase()) return [];
      return [{ range: from.range, detail: `The stage name ${JSON.stringify(name)} is not in lower case` }];
    }),
};
