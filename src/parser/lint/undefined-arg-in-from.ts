import { didYouMean } from '../suggest.ts';
import type { Rule } from './rule.ts';

/** Source: Docker's build checks, "UndefinedArgInFrom". */
export const undefinedArgInFrom: Rule = {
  name: 'UndefinedArgInFrom',
  description: 'Variables of FROM are ARGs from before the first FROM',
  check: ({ stages }) =>
    stages.flatMap(({ from, base, platform }) =>
      [base, ...(platform === undefined ? [] : [platform])].flatMap(({ unset, known }) =>
        unset.map((name) => ({
          range: from.range,
          detail: `No ARG before the first FROM declares ${name}${didYouMean(name, known())}`,
        })),
      ),
    ),
};
