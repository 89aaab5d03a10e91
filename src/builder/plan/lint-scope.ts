/** Variables of a stage for the lint: names on top of those of the stage that it stands on. */

const NAMES_MAX = 100;

export interface Scope {
  readonly own: Map<string, string | undefined>;
  readonly below: Scope | undefined;
}

/** What a name stands for; undefined: it has no value, or is not declared. */
export function valueIn(scope: Scope, name: string): string | undefined {
  return holder(scope, name)?.own.get(name);
}

/** Declared, with a value or without one. */
export function isDeclared(scope: Scope, name: string): boolean {
  return holder(scope, name) !== undefined;
}

/** For suggestions: the first hundred, so that thousands of findings among thousands of names stay cheap. */
export function namesIn(scope: Scope): Set<string> {
  const names = new Set<string>();
  for (let at: Scope | undefined = scope; at !== undefined; at = at.below) {
    for (const name of at.own.keys()) {
      if (names.size === NAMES_MAX) return names;
      names.add(name);
    }
  }
  return names;
}

/** A loop: stages may stand on each other thousands deep. */
function holder(scope: Scope, name: string): Scope | undefined {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.below) if (at.own.has(name)) return at;
  return undefined;
}
