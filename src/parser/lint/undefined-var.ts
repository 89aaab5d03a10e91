import { didYouMean } from '../suggest.ts';
import { builtSteps, type Rule } from './rule.ts';

/** Build arguments that mean something by themselves, declared or not. */
const KNOWN: ReadonlySet<string> = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

/** Source: Docker's build checks, "UndefinedVar". A default (`${x:-y}`) does not declare; EXPOSE is not looked at, as in BuildKit. */
export const undefinedVar: Rule = {
  name: 'UndefinedVar',
  description: 'Variables are declared with ARG or ENV before they are used',
  check: (subject) =>
    [...builtSteps(subject)].flatMap(({ instruction, unset, known }) =>
      instruction.kind === 'expose'
        ? []
        : unset
            .filter((name) => !KNOWN.has(name))
            .map((name) => ({
              range: instruction.range,
              detail: `No ARG or ENV above declares $${name}${didYouMean(name, known(), '$')}`,
            })),
    ),
};
