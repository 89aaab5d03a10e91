import type { SourceRange } from '../../errors.ts';
import type { Finding, Rule } from './rule.ts';

const ONCE: ReadonlySet<string> = new Set(['cmd', 'entrypoint', 'healthcheck']);

/** Source: Docker's build checks, "MultipleInstructionsDisallowed". Placed at the one without effect. */
export const multipleInstructionsDisallowed: Rule = {
  name: 'MultipleInstructionsDisallowed',
  description: 'CMD, ENTRYPOINT and HEALTHCHECK are given once a stage: only the last one counts',
  check: ({ stages }) =>
    stages
      .filter(({ isBuilt }) => isBuilt)
      .flatMap(({ steps }) => {
        const last = new Map<string, SourceRange>();
        const findings: Finding[] = [];
        for (const { instruction } of steps) {
          const { kind, range } = instruction;
          if (!ONCE.has(kind)) continue;
          const before = last.get(kind);
          last.set(kind, range);
          if (before === undefined) continue;
          findings.push({ range: before, detail: `This ${kind.toUpperCase()} has no effect: line ${range.startLine} has another one` });
        }
        return findings;
      }),
};
