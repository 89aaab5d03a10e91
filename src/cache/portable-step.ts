/** What a step left, without its files: enough to have them again anywhere. Shared by the records of a state directory and remote caches. */
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import type { CacheKey, Making } from './cache-key.ts';
import type { PortableMount } from './portable-mount.ts';

/** The changes of a step as a layer. */
export interface PortableLayer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** How it was packed, as names of layer records say it; '' is the form that most have. */
  readonly form: string;
  /** When the step ran, RFC 3339: configs of images tell it. */
  readonly createdAt: string;
}

/** A step of another state directory. */
export interface PortableStep {
  readonly key: CacheKey;
  /** The key of the files that the step starts from; its own key holds it, too. */
  readonly parent: CacheKey;
  /** Whose result it is: of the step itself, of the same layer made on its `ground`, or of a step that made the same out of other sources. */
  readonly made: Making;
  /** Where it is that of a step which made the same out of other sources. */
  readonly alias?: boolean | undefined;
  /** Absent where the cache has none: whoever needs the files makes them, and whoever needs only the key goes on. */
  readonly layer?: PortableLayer | undefined;
  /** Of a layer by itself (`--link`): the directories that it finds, from the root, the uppermost first. */
  readonly ground?: readonly string[] | undefined;
}

/** What remote caches have, for a build that was told to use them. */
export interface StepImports {
  /** undefined where no cache has the step on these files. `from`: the cache as it is shown. */
  find(key: CacheKey, parent: CacheKey): { readonly step: PortableStep; readonly from: string } | undefined;
  /** What a cache mount of this name held elsewhere. */
  mount(name: string): { readonly mount: PortableMount; readonly from: string } | undefined;
  /** Brings the layer's blob into the store, its digest verified. Rejects where no cache gives it. */
  fetch(layer: Descriptor, signal: AbortSignal): Promise<void>;
  /** Its layer was no good: the cache that it came from is not used any more. Returns the cache as it is shown. */
  distrust(layer: Descriptor): string | undefined;
}

const HEX = /^[a-f0-9]{64}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;
const FORM = /^[a-z0-9 ]{0,64}$/;
const GROUND_MAX = 64;
const TYPES: readonly string[] = [MEDIA_TYPE.layer, MEDIA_TYPE.layerGzip, MEDIA_TYPE.layerZstd];

export function isPortableLayer(value: unknown): value is PortableLayer {
  const { descriptor, diffId, form, createdAt } = (value ?? {}) as Partial<PortableLayer>;
  const { mediaType, digest, size } = (descriptor ?? {}) as Partial<Descriptor>;
  return (
    isDigest(digest) &&
    isDigest(diffId) &&
    typeof size === 'number' &&
    Number.isSafeInteger(size) &&
    size > 0 &&
    typeof mediaType === 'string' &&
    TYPES.includes(mediaType) &&
    typeof form === 'string' &&
    FORM.test(form) &&
    typeof createdAt === 'string' &&
    TIME.test(createdAt) &&
    !Number.isNaN(Date.parse(createdAt))
  );
}

/** Paths of directories that lead nowhere but down. */
export function isGround(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= GROUND_MAX && value.every(isPlainPath);
}

function isPlainPath(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > 4096 || value.includes('\0')) return false;
  return value.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

export function isPortableStep(value: unknown): value is PortableStep {
  const { key, parent, made, alias, layer, ground } = (value ?? {}) as Partial<PortableStep>;
  if (!isHex(key) || !isHex(parent) || !isMaking(made)) return false;
  if (layer !== undefined && !isPortableLayer(layer)) return false;
  return ground === undefined ? made.key === key || alias === true : isGround(ground);
}

export function isMaking(value: unknown): value is Making {
  const { key, nonce } = (value ?? {}) as Partial<Making>;
  return isHex(key) && isHex(nonce);
}

function isHex(value: unknown): boolean {
  return typeof value === 'string' && HEX.test(value);
}
