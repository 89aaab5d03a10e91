import type { Finding, LintStage, Rule } from './rule.ts';

/** Source: Docker's build checks, "JSONArgsRecommended". Who sets SHELL wants a shell. */
export const jsonArgsRecommended: Rule = {
  name: 'JSONArgsRecommended',
  description: 'CMD and ENTRYPOINT are JSON arrays, so that signals reach the program and not a shell around it',
  check: ({ stages }) => {
    const hasShell = new Map<LintStage, boolean>();
    return stages.flatMap((stage) => {
      let isSet = (stage.parent !== undefined && hasShell.get(stage.parent) === true) || stage.image?.hasShell === true;
      const findings: Finding[] = [];
      for (const { instruction } of stage.steps) {
        if (instruction.kind === 'shell') isSet = true;
        if (isSet || (instruction.kind !== 'cmd' && instruction.kind !== 'entrypoint') || instruction.command.form === 'exec') continue;
        findings.push({
          range: instruction.range,
          detail: `${instruction.kind.toUpperCase()} runs a shell that gets the signals in its place`,
        });
      }
      hasShell.set(stage, isSet);
      return stage.isBuilt ? findings : [];
    });
  },
};
