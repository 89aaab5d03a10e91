import { splitFirst } from '../words.ts';
import type { Rule } from './rule.ts';
import { argumentsOf } from './written-words.ts';

/** Source: Docker's build checks, "LegacyKeyValueFormat". */
export const legacyKeyValueFormat: Rule = {
  name: 'LegacyKeyValueFormat',
  description: 'ENV and LABEL are written with an equals sign',
  check: ({ dockerfile }) =>
    dockerfile.instructions.flatMap((instruction) => {
      const { kind, range } = instruction;
      // A quoted name may have blanks, but then its pair has an equals sign.
      if ((kind !== 'env' && kind !== 'label') || instruction.pairs.length !== 1) return [];
      const [pair] = instruction.pairs;
      const { first, rest } = splitFirst(argumentsOf(instruction));
      if (pair?.key !== first || pair.value !== rest) return [];
      const keyword = kind.toUpperCase();
      return [{ range, detail: `Write ${keyword} NAME=value in place of the old ${keyword} NAME value` }];
    }),
};
