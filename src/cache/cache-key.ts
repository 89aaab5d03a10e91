/**
 * The one place where the identity of a step is decided. A key covers everything that can change a step's result and
 * nothing that only changes how it runs (progress, jobs, limits). Mutating any field of `StepIngredients` must miss.
 */
import { createHash } from 'node:crypto';

/** sha256 in hex. */
export type CacheKey = string & { readonly __cacheKey?: never };

/** Raise it when the meaning of a step changes, so that records of older versions are never used. */
const KEY_VERSION = 'tsbuild-step-1';

export type StepIngredients =
  | RunIngredients
  | CopyIngredients
  | AddIngredients
  | WorkdirIngredients
  | LinkIngredients
  | GroundIngredients
  | LaidIngredients;

export interface RunIngredients {
  readonly kind: 'run';
  readonly parent: CacheKey;
  readonly argv: readonly string[];
  /** As the process sees it, in order, without HOME (derived from the image's files, which the parent covers). */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly network: string;
  /** `sandbox` or `insecure`. */
  readonly security: string;
  /** Not there where steps are isolated as usual. */
  readonly isolation?: 'chroot';
  /** What the command runs as, such as `linux/amd64`. */
  readonly platform: string;
  /** Names from --add-host; their addresses do not count. */
  readonly hostNames: readonly string[];
  /** Names of devices, each with whether it is required; absent where there are none. What the machine has for them does not count. */
  readonly devices?: readonly string[];
  /** Where what is mounted, ids of secrets, what is read through mounts; values of secrets and contents of caches never. */
  readonly mounts: readonly string[];
}

export interface CopyIngredients {
  readonly kind: 'copy';
  readonly parent: CacheKey;
  /** Content checksum of what is copied, or the key of the stage it comes from with the source paths. */
  readonly sources: readonly string[];
  readonly destination: string;
  readonly cwd: string;
  readonly chown: string;
  readonly chmod: string;
}

export interface AddIngredients extends Omit<CopyIngredients, 'kind'> {
  readonly kind: 'add';
  /** Which archives are unpacked: `local`, `all` or `none`. */
  readonly unpack: string;
}

export interface WorkdirIngredients {
  readonly kind: 'workdir';
  readonly parent: CacheKey;
  readonly path: string;
  readonly user: string;
}

/** COPY or ADD with `--link`: an independent layer, which is another snapshot than the same step makes without the flag. */
export interface LinkIngredients {
  readonly kind: 'link';
  /** Of the COPY or ADD. Its parent is the whole stage, or only the ground that the layer is made on. */
  readonly step: CacheKey;
}

/** The directories that an independent layer finds and leaves as they are. */
export interface GroundIngredients {
  readonly kind: 'ground';
  /** From the root, without a leading slash. */
  readonly directories: readonly string[];
}

/** An independent layer laid over a stage's files. */
export interface LaidIngredients {
  readonly kind: 'laid';
  readonly parent: CacheKey;
  /** Name of the layer's snapshot. */
  readonly layer: string;
}

export function stepKey(ingredients: StepIngredients): CacheKey {
  return encode([KEY_VERSION, ...Object.entries(ingredients).sort(byName).flat()]);
}

/** The key of a stage before its first step: the files it starts from, whatever they are called. */
export function baseKey(diffIds: readonly string[]): CacheKey {
  return encode([KEY_VERSION, 'base', diffIds]);
}

/** One making of a step: the same step made again is another. */
export interface Making {
  readonly key: CacheKey;
  /** 64 random hex digits. */
  readonly nonce: string;
}

/** What a making left, by a name that is never that of a base: a foreign record cannot take its place. */
export function resultName({ key, nonce }: Making): CacheKey {
  return encode(['tsbuild-result-1', key, nonce]);
}

/** Every value goes in with its type and length, so that no two lists of ingredients share an encoding. */
function encode(values: readonly (string | readonly string[])[]): CacheKey {
  const hash = createHash('sha256');
  for (const value of values) {
    if (typeof value !== 'string') hash.update(`[${value.length}]`);
    for (const text of typeof value === 'string' ? [value] : value) hash.update(`${Buffer.byteLength(text)}:${text}`);
  }
  return hash.digest('hex');
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}
