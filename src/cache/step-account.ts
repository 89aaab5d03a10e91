/**
 * What a step was made of, by name: kept so that the next miss at its place can be told. Values are digests, cut short, since
 * they are only compared with each other; a value itself is kept where the caller says that it may be shown.
 */
import { createHash } from 'node:crypto';
import type { CacheKey } from './cache-key.ts';

export interface StepAccount {
  readonly key: CacheKey;
  readonly parent: ParentAccount;
  /** Ingredients but for files and variables. */
  readonly parts: readonly NamedDigest[];
  /** `shown` is the value where it may be seen, else null. */
  readonly variables: readonly (readonly [name: string, digest: string, shown: string | null])[];
  /** What COPY or ADD took from build contexts, at most FILES_MAX; null where it took none. */
  readonly files: readonly FileLine[] | null;
}

export interface ParentAccount {
  readonly key: string;
  /** Of a base image's manifest; null where a step made the files. */
  readonly base: string | null;
}

export type NamedDigest = readonly [name: string, digest: string];

/** `mode`: with the type, such as `file 644`; `content`: digest of a file, or target of a link; `attributes`: of extended ones. */
export type FileLine = readonly [path: string, mode: string, owner: string, content: string, attributes: string];

/** More are not told one by one. */
export const FILES_MAX = 2000;

/** 64 bits of sha256: enough to tell two values of one user apart. */
export function shortDigest(values: readonly string[]): string {
  const hash = createHash('sha256');
  for (const value of values) hash.update(`${Buffer.byteLength(value)}:${value}`);
  return hash.digest('hex').slice(0, 16);
}

export function isStepAccount(value: unknown): value is StepAccount {
  const { key, parent, parts, variables, files } = (value ?? {}) as Partial<StepAccount>;
  return (
    typeof key === 'string' &&
    typeof parent?.key === 'string' &&
    (parent.base === null || typeof parent.base === 'string') &&
    areLines(parts, 2) &&
    areLines(variables, 3) &&
    (files === null || areLines(files, 5))
  );
}

function areLines(value: unknown, length: number): boolean {
  const isCell = (cell: unknown) => typeof cell === 'string' || cell === null;
  return Array.isArray(value) && value.every((line) => Array.isArray(line) && line.length === length && line.every(isCell));
}
