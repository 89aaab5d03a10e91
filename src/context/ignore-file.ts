/** `.dockerignore`: which paths of a build context are not part of it. Source: Docker's reference, ".dockerignore file". */
import { TsbuildError } from '../errors.ts';
import { cleanPath } from './go-pattern.ts';
import { compilePathPattern, type PathPattern } from './path-pattern.ts';

export interface IgnoreRules {
  /** In file order; the last that matches wins. */
  readonly rules: readonly IgnoreRule[];
}

export interface IgnoreRule {
  /** 1-based line of the ignore file. */
  readonly line: number;
  /** `!pattern`: takes paths back in. */
  readonly action: 'ignore' | 'include';
  readonly pattern: PathPattern;
}

export interface IgnoreVerdict {
  readonly ignored: boolean;
  /** The line that decided; undefined where none matches. */
  readonly line?: number;
}

/** Rules of an ignore file's text; throws DOCKERFILE_SYNTAX for a malformed pattern. `file` names it in errors. */
export function parseIgnoreFile(text: string, file = '.dockerignore'): IgnoreRules {
  const rules: IgnoreRule[] = [];
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  for (const [index, line] of lines.entries()) {
    const rule = parseLine(line, `${file} line ${index + 1}`);
    if (rule !== undefined) rules.push({ line: index + 1, ...rule });
  }
  return { rules };
}

/** Whether `path` (clean, relative to the context) is left out, and by which line. */
export function ignored(rules: IgnoreRules, path: string): IgnoreVerdict {
  for (let at = rules.rules.length - 1; at >= 0; at--) {
    const rule = rules.rules[at] as IgnoreRule;
    if (rule.pattern.matches(path)) return { ignored: rule.action === 'ignore', line: rule.line };
  }
  return { ignored: false };
}

/** Whether a rule may take something back in that lies inside the ignored directory `path`. */
export function mayIncludeInside(rules: IgnoreRules, path: string): boolean {
  return rules.rules.some((rule) => rule.action === 'include' && rule.pattern.mayMatchInside(path));
}

/** Whether nothing of `path` is left: neither itself nor something inside. */
export function hidesWhole(rules: IgnoreRules, path: string): boolean {
  return ignored(rules, path).ignored && !mayIncludeInside(rules, path);
}

/** A comment starts in the first column, before spaces are trimmed. */
function parseLine(line: string, where: string): Omit<IgnoreRule, 'line'> | undefined {
  if (line.startsWith('#')) return undefined;
  const trimmed = line.trim();
  const isInclude = trimmed.startsWith('!');
  const written = isInclude ? trimmed.slice(1).trim() : trimmed;
  if (written === '') {
    if (!isInclude) return undefined;
    throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use the pattern "!" of ${where}: it excludes nothing from being ignored`);
  }
  const clean = cleanPath(written);
  const relative = clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean;
  return { action: isInclude ? 'include' : 'ignore', pattern: compilePathPattern(relative, where) };
}
