import { commentsAbove } from './comments.ts';
import type { Rule } from './rule.ts';

/** Source: Docker's build checks, "InvalidDefinitionDescription". */
export const invalidDefinitionDescription: Rule = {
  name: 'InvalidDefinitionDescription',
  description: 'A comment above an ARG or FROM begins with the name that it describes',
  isExperimental: true,
  check: ({ dockerfile }) =>
    commentsAbove(dockerfile).flatMap(({ instruction, comments }) => {
      const { kind, range } = instruction;
      if (kind !== 'arg' && kind !== 'from') return [];
      const names = kind === 'arg' ? instruction.declarations.map(({ key }) => key) : [instruction.as ?? ''];
      const last = comments.at(-1);
      const [first = ''] = names;
      if (last === undefined || first === '' || names.includes(last.split(' ', 1)[0] ?? '')) return [];
      const example = names.length === 1 ? first : 'NAME';
      return [
        { range, detail: `The comment above ${kind.toUpperCase()} does not describe it: such a comment begins with "# ${example} "` },
      ];
    }),
};
