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

/**
 * Whether `path` (clean, relative to the context) is left out, and by which line. As BuildKit has it, a rule that matches a
 * directory holds for everything in it, but is only asked where it could change the verdict: an ignoring one where the path is
 * still in, a `!` one where it is already out. So `!a*` does not take back `ab/x` that a rule for `x` below it leaves out: `ab` was never out.
 */
export function ignored(rules: IgnoreRules, path: string): IgnoreVerdict {
  const { rule } = verdictOf(rules, path);
  return rule === undefined ? { ignored: false } : { ignored: rule.action === 'ignore', rule };
}

interface Verdict {
  /** Rules that hold here and for everything inside. */
  readonly holding: ReadonlySet<IgnoreRule>;
  /** The last of them. */
  readonly rule: IgnoreRule | undefined;
}

const NONE: Verdict = { holding: new Set(), rule: undefined };
/** Of the directory asked about last, for each set of rules: a walk asks for its entries one after the other. */
const latest = new WeakMap<IgnoreRules, { readonly path: string; readonly verdict: Verdict }>();

function verdictOf(rules: IgnoreRules, path: string): Verdict {
  const above = verdictAbove(rules, path.slice(0, Math.max(0, path.lastIndexOf('/'))));
  let rule: IgnoreRule | undefined;
  const holding: IgnoreRule[] = [];
  for (const each of rules.rules) {
    const isOut = rule?.action === 'ignore';
    if (!above.holding.has(each) && ((each.action === 'ignore') === isOut || !each.pattern.matchesWhole(path))) continue;
    holding.push(each);
    rule = each;
  }
  return { holding: new Set(holding), rule };
}

function verdictAbove(rules: IgnoreRules, directory: string): Verdict {
  if (directory === '') return NONE;
  const known = latest.get(rules);
  if (known?.path === directory) return known.verdict;
  const verdict = verdictOf(rules, directory);
  latest.set(rules, { path: directory, verdict });
  return verdict;
}

/** Whether a rule may take something back in that lies inside the ignored directory `path`. */
export function mayIncludeInside(rules: IgnoreRules, path: string): boolean {
  return rules.rules.some((rule) => rule.action === 'include' && rule.pattern.mayMatchInside(path));
}

/** Whether nothing of `path` is left: neither itself nor something inside. */
export function hidesWhole(rules: IgnoreRules, path: string): boolean {
  return ignored(rules, path).ignored && !mayIncludeInside(rules, path);
}

/** undefined where nothing is written. A `!` that stands first only once the path is clean counts as well: so does BuildKit. */
function parsePattern(line: string, where: string, toRelative: (clean: string) => string): Omit<IgnoreRule, 'line'> | undefined {
  const text = line.trim();
  if (text === '') return undefined;
  const isInclude = text.startsWith('!');
  const written = isInclude ? text.slice(1).trim() : text;
  const relative = written === '' ? '' : toRelative(cleanPath(written));
  const action = isInclude || relative.startsWith('!') ? 'include' : 'ignore';
  const pattern = !isInclude && action === 'include' ? relative.slice(1) : relative;
  if (action === 'include' && (pattern === '' || pattern === '/')) {
    throw new TsbuildError(
      'DOCKERFILE_SYNTAX',
      `Cannot use the pattern ${JSON.stringify(text.slice(0, 200))} of ${where}: it excludes nothing from being ignored`,
    );
  }
  return { text, action, pattern: compilePathPattern(pattern, where) };
}

/** In an ignore file, a leading slash says what holds anyway: patterns begin at the context. */
function unrooted(clean: string): string {
  return clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean;
}
