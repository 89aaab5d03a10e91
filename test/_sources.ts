/** The source files of the project and what they import, read as text. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Paths from the repository's root, such as `src/oci/digest.ts`. */
export const SOURCES: readonly string[] = filesBelow('src');

export interface Import {
  /** `src/…` for our own, else the module's name. */
  readonly target: string;
  readonly kind: 'type' | 'value';
  /** `later`: by `import()`. */
  readonly when: 'start' | 'later';
}

const STATEMENT = /^(?:import|export)\s+(type\s+)?([^;'"]*?\sfrom\s+)?'([^']+)'/gm;
const DYNAMIC = /\b(?:import|require)\(\s*'([^']+)'\s*\)/g;

export function filesBelow(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(dir, entry.name);
    return entry.isDirectory() ? filesBelow(file) : file.endsWith('.ts') ? [file] : [];
  });
}

export function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const statements = [...text.matchAll(STATEMENT)].map(([, type, names, target = '']): Import => {
    return { target: resolve(file, target), kind: type === undefined && !isTypesOnly(names ?? '') ? 'value' : 'type', when: 'start' };
  });
  const dynamic = [...text.matchAll(DYNAMIC)].map(
    ([, target = '']): Import => ({ target: resolve(file, target), kind: 'value', when: 'later' }),
  );
  // `import('x').Y` in a type position looks the same and costs nothing, but no one here writes it.
  return [...statements, ...dynamic];
}

/** `{ type A, type B }`: verbatimModuleSyntax keeps such an import, but bundlers and readers see no value. */
function isTypesOnly(names: string): boolean {
  const braces = /^\{([\s\S]*)\}\s*from/.exec(names.trim());
  return braces !== null && (braces[1] ?? '').split(',').every((name) => name.trim() === '' || name.trim().startsWith('type '));
}

function resolve(file: string, target: string): string {
  return target.startsWith('.') ? path.join(path.dirname(file), target) : target;
}
