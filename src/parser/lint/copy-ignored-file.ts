import path from 'node:path/posix';
import { builtSteps, type Rule } from './rule.ts';

/** Source: Docker's build checks, "CopyIgnoredFile". */
export const copyIgnoredFile: Rule = {
  name: 'CopyIgnoredFile',
  description: 'COPY and ADD do not name what the ignore file takes out of the context',
  check: (subject) => {
    const { isIgnored } = subject;
    if (isIgnored === undefined) return [];
    return [...builtSteps(subject)].flatMap(({ expanded }) => {
      if ((expanded.kind !== 'copy' || expanded.from !== undefined) && expanded.kind !== 'add') return [];
      if (expanded.ifExists) return [];
      return expanded.sources.flatMap((source) => {
        if (source.kind !== 'path' || isRemote(source.path)) return [];
        const clean = path.resolve('/', source.path).slice(1);
        // The context itself is never ignored, whatever the patterns.
        if (clean === '' || !isIgnored(clean)) return [];
        return [
          { range: expanded.range, detail: `The ignore file takes ${JSON.stringify(source.path.slice(0, 200))} out of the build context` },
        ];
      });
    });
  },
};

function isRemote(source: string): boolean {
  return /^[a-z][a-z+.-]*:\/\/|^git@/i.test(source);
}
