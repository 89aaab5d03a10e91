/** Which rules count: the value of `# check=`. Source: Dockerfile reference "check" directive. */
import { TsbuildError } from '../../errors.ts';

export interface LintOptions {
  readonly skip: RuleNames;
  readonly experimental: RuleNames;
  /** Findings fail the build. */
  readonly isError: boolean;
}

export type RuleNames = ReadonlySet<string> | 'all';

/** `skip=A,B;error=true;experimental=all`. Throws DOCKERFILE_SYNTAX for anything else. */
export function parseLintOptions(text: string): LintOptions {
  let options: LintOptions = { skip: new Set(), experimental: new Set(), isError: false };
  for (const part of text.split(';')) {
    if (part.trim() === '') continue;
    const equals = part.indexOf('=');
    const key = part.slice(0, Math.max(equals, 0)).trim();
    const value = part.slice(equals + 1).trim();
    if (key === 'skip' || key === 'experimental') options = { ...options, [key]: namesOf(value) };
    else if (key === 'error' && /^(?:true|false|1|0)$/i.test(value)) options = { ...options, isError: /^(?:true|1)$/i.test(value) };
    else throw invalid(part);
  }
  return options;
}

export function includes(names: RuleNames, name: string): boolean {
  return names === 'all' || names.has(name);
}

function namesOf(value: string): RuleNames {
  const names = value.split(',').map((name) => name.trim());
  return names.includes('all') ? 'all' : new Set(names);
}

function invalid(part: string): TsbuildError {
  return new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use the check option ${JSON.stringify(part.trim().slice(0, 80))}`, {
    hint: 'Write check=skip=RULE,RULE;error=true;experimental=RULE, each part at most once; `all` means every rule.',
  });
}
