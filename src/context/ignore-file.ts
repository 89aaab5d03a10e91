/** `.dockerignore`: which paths of a build context are not part of it. Source: Docker's reference, ".dockerignore file". */
import { TsbuildError } from '../errors.ts';
import { cleanPath } from './go-pattern.ts';
import { compilePathPattern, type PathPattern } from './path-pattern.ts';

export interface IgnoreRules {
  /** As messages name it. */
  readonly file: string;
  /** In file order; the last that matches wins. */
  readonly rules: readonly IgnoreRule[];
}

export interface IgnoreRule {
  /** 1-based line of the ignore file. */
  readonly line: number;
  /** As written, without blanks around it. */
  readonly text: string;
  /** `!pattern`: takes paths back in. */
  readonly action: 'ignore' | 'include';
  readonly pattern: PathPattern;
}

export interface IgnoreVerdict {
  readonly ignored: boolean;
  /** What decided; undefined where no line matches. */
  readonly rule?: IgnoreRule;
}

/** Rules of an ignore file's text; throws DOCKERFILE_SYNTAX for a malformed pattern. `file` names it in errors. */
export function parseIgnoreFile(text: string, file = '.dockerignore'): IgnoreRules {
  const rules: IgnoreRule[] = [];
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  for (const [index, line] of lines.entries()) {
    // A comment starts in the first column, before blanks are trimmed.
    const rule = line.startsWith('#') ? undefined : parsePattern(line, `${file} line ${index + 1}`, unrooted);
    if (rule !== undefined) rules.push({ line: index + 1, ...rule });
  }
  return { file, rules };
}

/** Rules of the patterns of `--exclude`, where one with a leading slash matches nothing; `where` names them in errors. Throws DOCKERFILE_SYNTAX. */
export function parseIgnorePatterns(patterns: readonly string[], where: string): IgnoreRules {
  const rules: IgnoreRule[] = [];
  for (const [index, text] of patterns.entries()) {
    const rule = parsePattern(text, where, (clean) => clean);
    if (rule !== undefined) rules.push({ line: index + 1, ...rule });
  }
  return { file: where, rules };
}

/** Whether `path` (clean, relative to the context) is left out, and by which line. */
export function ignored(rules: IgnoreRules, path: string): IgnoreVerdict {
  for (let at = rules.rules.length - 1; at >= 0; at--) {
    const rule = rules.rules[at] as IgnoreRule;
    if (rule.pattern.matches(path)) return { ignored: rule.action === 'ignore', rule };
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

/** undefined where nothing is written. */
function parsePattern(line: string, where: string, toRelative: (clean: string) => string): Omit<IgnoreRule, 'line'> | undefined {
  const text = line.trim();
  const isInclude = text.startsWith('!');
  const written = isInclude ? text.slice(1).trim() : text;
  if (written === '') {
    if (!isInclude) return undefined;
    throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use the pattern "!" of ${where}: it excludes nothing from being ignored`);
  }
  const pattern = compilePathPattern(toRelative(cleanPath(written)), where);
  return { text, action: isInclude ? 'include' : 'ignore', pattern };
}

/** In an ignore file, a leading slash says what holds anyway: patterns begin at the context. */
function unrooted(clean: string): string {
  return clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean;
}
