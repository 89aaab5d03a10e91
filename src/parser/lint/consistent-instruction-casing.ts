import type { Rule } from './rule.ts';
import { keywordOf } from './written-words.ts';

/**
 * Source: Docker's build checks, "ConsistentInstructionCasing". ARGs before the first FROM do not count, keywords of
 * mixed case have no vote, and upper case wins a tie.
 */
export const consistentInstructionCasing: Rule = {
  name: 'ConsistentInstructionCasing',
  description: 'All instructions are written in the same case, upper or lower',
  check: ({ stages }) => {
    const instructions = stages.flatMap(({ from, steps }) => [from, ...steps.map(({ instruction }) => instruction)]);
    const keywords = instructions.map(keywordOf);
    const lower = keywords.filter((keyword) => keyword === keyword.toLowerCase()).length;
    const upper = keywords.filter((keyword) => keyword === keyword.toUpperCase()).length;
    const isLower = lower > upper;
    return instructions.flatMap(({ range }, index) => {
      const keyword = keywords[index] ?? '';
      if (keyword === (isLower ? keyword.toLowerCase() : keyword.toUpperCase())) return [];
      return [{ range, detail: `${keyword} is not in ${isLower ? 'lower' : 'upper'} case, as most instructions here are` }];
    });
  },
};
