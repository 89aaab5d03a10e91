/** The account of a step out of its ingredients: each by the name that its user knows it by. */
import { hideCredentials } from '../../attestations/hide-credentials.ts';
import type { CacheKey, StepIngredients } from '../../cache/cache-key.ts';
import { type FileLine, type NamedDigest, type StepAccount, shortDigest } from '../../cache/step-account.ts';
import type { StageState } from './stage-state.ts';

export interface Accounted {
  readonly key: CacheKey;
  readonly ingredients: StepIngredients;
  /** Sources of a COPY or ADD, each place with its name. */
  readonly sources?: readonly NamedIdentity[];
  readonly files?: readonly FileLine[] | undefined;
}

export interface NamedIdentity {
  readonly name: string;
  readonly identity: readonly string[];
}

/** More would fill the screen, and is seldom looked for. */
const SHOWN_MAX = 40;
/** Wider than the rule for Dockerfiles: here a doubt costs nothing. */
const SECRET_NAME = /api|auth|cookie|cred|jwt|key|pass|private|pwd|pword|secret|session|sig|token/i;

const NAMES: Readonly<Record<string, string>> = {
  ...{ kind: 'the instruction', argv: 'the command', cwd: 'WORKDIR', path: 'WORKDIR', user: 'USER', destination: 'the destination' },
  ...{ platform: 'the platform', network: '--network', security: '--security', isolation: '--isolation', devices: '--device' },
  ...{ hostNames: 'names of --add-host', chown: '--chown', chmod: '--chmod', unpack: '--unpack' },
};
/** Told in other ways. */
const APART = new Set(['parent', 'env', 'mounts', 'sources']);

export function stepAccount(state: StageState, { key, ingredients, sources = [], files }: Accounted): StepAccount {
  const plain = Object.entries(ingredients).flatMap(([field, value]: [string, string | readonly string[]]): NamedDigest[] =>
    APART.has(field) ? [] : [[NAMES[field] ?? field, shortDigest([value].flat())]],
  );
  const mounts = ingredients.kind === 'run' ? mountParts(ingredients.mounts) : [];
  return {
    ...{ key, parent: { key: state.key, base: state.origin.digest ?? null } },
    parts: [...plain, ...mounts, ...sources.map(({ name, identity }): NamedDigest => [name, shortDigest(identity)])],
    variables: ingredients.kind === 'run' ? ingredients.env.map(variableLine) : [],
    files: files ?? null,
  };
}

/** The list is one of lists, each with its length before it (run-mounts.ts). */
function mountParts(identity: readonly string[]): NamedDigest[] {
  const parts: NamedDigest[] = [];
  for (let at = 0; at < identity.length; ) {
    const length = Number(identity[at]);
    const own = identity.slice(at + 1, at + 1 + length);
    const [type, what = ''] = own;
    if (type === 'script') parts.push(['the here-document', shortDigest(own)]);
    else if (type !== undefined) parts.push([`--mount=type=${type} ${what}`, shortDigest(own)]);
    at += 1 + length;
  }
  return parts;
}

function variableLine(text: string): StepAccount['variables'][number] {
  const at = text.indexOf('=');
  const [name, value] = [text.slice(0, at), text.slice(at + 1)];
  const isShown = value.length <= SHOWN_MAX && !SECRET_NAME.test(name) && hideCredentials(value) === value;
  // Of a value that is hidden less is kept than a search could find it by.
  return [name, isShown ? shortDigest([value]) : shortDigest([name, value]).slice(0, 6), isShown ? value : null];
}
