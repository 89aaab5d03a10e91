/** `RUN --mount=...`: fields in CSV, as a closed set of types. Source: Dockerfile reference "RUN --mount". */
import { TsbuildError, unreachable } from '../errors.ts';
import type { Word } from './instruction.ts';
import { type MountFields, mountFields, splitMountFields } from './mount-fields.ts';

export type Mount = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount;
export type MountType = Mount['type'];

export type MountAccess = 'read-only' | 'read-write';

/** Who owns a file or directory that a mount makes. */
export interface MountOwner {
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface BindMount {
  readonly type: 'bind';
  /** As written, perhaps relative to WORKDIR; '' is WORKDIR itself. */
  readonly target: string;
  /** A stage, image or named context; undefined: the build context. */
  readonly from: string | undefined;
  /** Path in what `from` names. */
  readonly source: string;
  readonly access: MountAccess;
}

export interface CacheMount extends Omit<BindMount, 'type'> {
  readonly type: 'cache';
  /** undefined: the target names it. */
  readonly id: string | undefined;
  readonly sharing: 'shared' | 'private' | 'locked';
  /** Of a new cache's directory; undefined where nothing was said. */
  readonly owner: Partial<MountOwner> | undefined;
}

export interface TmpfsMount {
  readonly type: 'tmpfs';
  readonly target: string;
  /** undefined: as much as the kernel gives (half of the memory). */
  readonly bytes: number | undefined;
  readonly access: MountAccess;
}

export interface SecretMount {
  readonly type: 'secret';
  readonly id: string;
  /** undefined: no file but `env`, or /run/secrets/ID. */
  readonly target: string | undefined;
  /** Variable that gets the value. */
  readonly env: string | undefined;
  readonly required: boolean;
  readonly owner: MountOwner;
}

export interface SshMount {
  readonly type: 'ssh';
  readonly id: string;
  readonly target: string | undefined;
  readonly required: boolean;
  readonly owner: MountOwner;
}

/**
 * Reads one mount; `expand` expands the variables of each value. Throws DOCKERFILE_SYNTAX without a location, and what
 * `expand` throws.
 */
export function parseMount(text: Word, expand: (word: Word) => string): Mount {
  return typedMount(mountFields(splitMountFields(text).map(([key, value]) => [key, value === undefined ? undefined : expand(value)])));
}

/** What of a mount can be judged before variables are known: all of it where none is in it. Throws as `parseMount`. */
export function checkMount(text: Word): void {
  const isLiteral = !/[$\\'"]/.test(text);
  if (isLiteral) parseMount(text, (word) => word);
  else
    mountFields(
      splitMountFields(text).map(([key, value]) => [key, value === undefined || !/[$\\'"]/.test(value) ? value : { unknown: true }]),
    );
}

function typedMount(fields: MountFields): Mount {
  const { type } = fields;
  switch (type) {
    case 'bind':
      return { type, target: fields.target ?? '', from: fields.from, source: fields.source ?? '/', access: fields.access ?? 'read-only' };
    case 'cache':
      return cacheMount(fields);
    case 'tmpfs':
      return { type, target: fields.target ?? '', bytes: fields.bytes, access: fields.access ?? 'read-write' };
    case 'secret':
      return secretMount(fields);
    case 'ssh':
      return { type, id: fields.id || 'default', target: fields.target, required: fields.required ?? false, owner: ownerOf(fields, 0o600) };
    default:
      return unreachable(type);
  }
}

function cacheMount(fields: MountFields): CacheMount {
  const { mode, uid, gid } = fields;
  const owner = mode === undefined && uid === undefined && gid === undefined ? undefined : { ...defined({ mode, uid, gid }) };
  return {
    ...{ type: 'cache', id: fields.id || undefined, target: fields.target ?? '', from: fields.from, source: fields.source ?? '/' },
    ...{ access: fields.access ?? 'read-write', sharing: fields.sharing ?? 'shared', owner },
  };
}

function secretMount(fields: MountFields): SecretMount {
  const { source, target, id, env } = fields;
  if (source && id) throw new TsbuildError('DOCKERFILE_SYNTAX', 'Cannot use both id and source in --mount=type=secret: they mean the same');
  const name = id || source || target?.split('/').findLast((part) => part !== '');
  if (name === undefined) {
    throw new TsbuildError('DOCKERFILE_SYNTAX', 'Cannot tell which secret --mount=type=secret means: it has no id', {
      hint: 'Write --mount=type=secret,id=NAME, and give the secret with --secret id=NAME.',
    });
  }
  if (env !== undefined && (env === '' || /[=\0]/.test(env))) {
    throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use ${JSON.stringify(env.slice(0, 80))} as the name of a variable in --mount`);
  }
  return { type: 'secret', id: name, target, env, required: fields.required ?? false, owner: ownerOf(fields, 0o400) };
}

function ownerOf({ mode, uid, gid }: MountFields, usual: number): MountOwner {
  return { mode: mode ?? usual, uid: uid ?? 0, gid: gid ?? 0 };
}

function defined(owner: { mode: number | undefined; uid: number | undefined; gid: number | undefined }): Partial<MountOwner> {
  return Object.fromEntries(Object.entries(owner).filter(([, value]) => value !== undefined));
}
