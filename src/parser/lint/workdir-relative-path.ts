import type { Finding, LintStage, Rule } from './rule.ts';

/** Source: Docker's build checks, "WorkdirRelativePath". Only the first of a stage and of those it stands on: it decides for all. */
export const workdirRelativePath: Rule = {
  name: 'WorkdirRelativePath',
  description: 'The first WORKDIR is absolute: what a relative one means depends on the base image',
  check: ({ stages }) => {
    const hasWorkdir = new Map<LintStage, boolean>();
    return stages.flatMap((stage) => {
      let isSet = stage.parent !== undefined && hasWorkdir.get(stage.parent) === true;
      const findings: Finding[] = [];
      for (const { expanded } of stage.steps) {
        if (expanded.kind !== 'workdir') continue;
        if (!isSet && !expanded.path.startsWith('/')) {
          findings.push({
            range: expanded.range,
            detail: `The relative path ${JSON.stringify(expanded.path.slice(0, 200))} goes on from whatever the base image says`,
          });
        }
        isSet = true;
      }
      hasWorkdir.set(stage, isSet);
      return stage.isBuilt ? findings : [];
    });
  },
};
