import { builtSteps, type LintStep, type Rule } from './rule.ts';

const SECRET = /(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const HARMLESS = /(?:^|_)(?:public|file|version)(?:_|$)/i;

/** Source: Docker's build checks, "SecretsUsedInArgOrEnv": the names tell. */
export const secretsUsedInArgOrEnv: Rule = {
  name: 'SecretsUsedInArgOrEnv',
  description: 'Secrets are no ARG or ENV: anyone who has the image can read them',
  check: (subject) =>
    [...builtSteps(subject)].flatMap((step) =>
      namesOf(step)
        .filter(isSecretName)
        .map((name) => ({
          range: step.instruction.range,
          detail: `${step.instruction.kind.toUpperCase()} ${JSON.stringify(name)} looks like a secret, and stays readable in the image`,
        })),
    ),
};

/** Whether a name says that its value is one. */
export function isSecretName(name: string): boolean {
  return SECRET.test(name) && !HARMLESS.test(name);
}

function namesOf({ instruction, expanded }: LintStep): string[] {
  if (instruction.kind === 'arg') return instruction.declarations.map(({ key }) => key);
  return expanded.kind === 'env' ? expanded.pairs.map(({ key }) => key) : [];
}
