/** All findings of all rules that are on. */
import { type SourceRange, TsbuildError } from '../../errors.ts';
import type { Dockerfile } from '../instruction.ts';
import { commentsAbove } from './comments.ts';
import { includes, type LintOptions, parseLintOptions, type RuleNames } from './lint-options.ts';
import type { LintSubject } from './rule.ts';
import { RULES } from './rules.ts';

export interface LintWarning {
  readonly rule: string;
  readonly description: string;
  /** Path of the rule's page in the package. */
  readonly url: string;
  readonly detail: string;
  readonly range: SourceRange;
}

/** In the order of lines, then of rules. Time is linear in the Dockerfile. Throws DOCKERFILE_SYNTAX for a `# check=` that is none. */
export function lintDockerfile(subject: LintSubject, options: LintOptions): LintWarning[] {
  if (options.skip === 'all') return [];
  const isSkipped = skippedByComment(subject.dockerfile);
  const warnings = RULES.filter(
    ({ name, isExperimental }) => !includes(options.skip, name) && (isExperimental !== true || includes(options.experimental, name)),
  ).flatMap((rule) => {
    const { name, description } = rule;
    const found = rule.check(subject).filter(({ range }) => !isSkipped(range, name));
    return found.map(({ range, detail }) => ({ rule: name, description, url: `docs/rules/${name}.md`, detail, range }));
  });
  return warnings.toSorted((a, b) => a.range.startLine - b.range.startLine);
}

/** What the `# check=` directive says; `override` (BUILDKIT_DOCKERFILE_CHECK) stands in its place. */
export function lintOptionsOf({ directives, file, text }: Dockerfile, override: string | undefined): LintOptions {
  if (override !== undefined && override !== '') return parseLintOptions(override);
  const directive = directives.find(({ name }) => name === 'check');
  return placed({ file, text }, directive?.line ?? 1, () => parseLintOptions(directive?.value ?? ''));
}

/** `# check=skip=RULE` directly above an instruction. */
function skippedByComment(dockerfile: Dockerfile): (range: SourceRange, rule: string) => boolean {
  const skips = new Map<number, RuleNames[]>();
  for (const { instruction, checks } of commentsAbove(dockerfile)) {
    if (checks.length === 0) continue;
    const { startLine, endLine } = instruction.range;
    const names = checks.map((check) => placed(dockerfile, startLine - 1, () => parseLintOptions(check)).skip);
    for (let line = startLine; line <= endLine; line++) skips.set(line, names);
  }
  return ({ startLine }, rule) => skips.get(startLine)?.some((names) => includes(names, rule)) === true;
}

/** Runs `act`; an error of it gets the line. */
function placed<T>({ file, text }: { readonly file: string; readonly text: string }, line: number, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    throw error.at({ file, text, range: { startLine: line, startColumn: 0, endLine: line, endColumn: 0 } });
  }
}
