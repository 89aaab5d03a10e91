/** Parser directives: `# name=value` lines at the very top of a Dockerfile. Source: Dockerfile reference "Parser directives". */
import { type SourceRange, TsbuildError } from '../errors.ts';
import type { Directive, Escape } from './instruction.ts';

export interface Directives {
  readonly directives: readonly Directive[];
  readonly escape: Escape;
}

interface Source {
  readonly file: string;
  readonly text: string;
}

const NAMES: ReadonlySet<string> = new Set(['syntax', 'escape', 'check']);
const NAME = /^[a-zA-Z][a-zA-Z0-9]*$/;

/** Reads them; they end at the first line that is none. Throws DOCKERFILE_SYNTAX for one given twice or an impossible escape. */
export function readDirectives(lines: readonly string[], source: Source): Directives {
  const directives: Directive[] = [];
  let escapeChar: Escape = '\\';
  for (const [index, line] of lines.entries()) {
    if (index === 0 && line.startsWith('#!')) continue;
    const directive = parseDirective(line, index + 1);
    if (directive === undefined) break;
    const location = { ...source, range: lineRange(index + 1, line) };
    if (directives.some(({ name }) => name === directive.name)) {
      throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot set parser directive ${directive.name} twice`, { location });
    }
    directives.push(directive);
    if (directive.name !== 'escape') continue;
    if (directive.value !== '\\' && directive.value !== '`') {
      throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use ${JSON.stringify(directive.value.slice(0, 80))} as the escape character`, {
        hint: 'Only a backslash and a backtick can be the escape character.',
        location,
      });
    }
    escapeChar = directive.value;
  }
  return { directives, escape: escapeChar };
}

/** By hand, not by one expression: a line of blanks must not cost quadratic time. */
function parseDirective(line: string, number: number): Directive | undefined {
  const text = line.trim();
  const equals = text.indexOf('=');
  if (!text.startsWith('#') || equals === -1) return undefined;
  const name = text.slice(1, equals).trim();
  const value = text.slice(equals + 1).trim();
  if (value === '' || !NAME.test(name) || !isDirectiveName(name.toLowerCase())) return undefined;
  return { name: name.toLowerCase() as Directive['name'], value, line: number };
}

function isDirectiveName(name: string): name is Directive['name'] {
  return NAMES.has(name);
}

function lineRange(line: number, text: string): SourceRange {
  return { startLine: line, startColumn: 0, endLine: line, endColumn: text.trimEnd().length };
}
