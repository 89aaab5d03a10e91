import { TsbuildError } from '../../errors.ts';
import { parseReference } from '../../oci/reference.ts';
import type { Rule } from './rule.ts';

/** Source: Docker's build checks, "InvalidDefaultArgInFrom". */
export const invalidDefaultArgInFrom: Rule = {
  name: 'InvalidDefaultArgInFrom',
  description: 'FROM names an image also where no build argument is given',
  check: ({ stages }) =>
    stages.flatMap(({ from, defaultBase }) => {
      if (defaultBase === undefined || isReference(defaultBase)) return [];
      return [
        {
          range: from.range,
          detail: `Without build arguments ${from.image.slice(0, 200)} is ${JSON.stringify(defaultBase.slice(0, 200))}: not an image`,
        },
      ];
    }),
};

function isReference(text: string): boolean {
  try {
    parseReference(text);
    return true;
  } catch (error) {
    if (error instanceof TsbuildError) return false;
    throw error;
  }
}
