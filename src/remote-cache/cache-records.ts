/** The records of a cache as bytes: steps with their layers, and cache mounts. Pure. What is read here is as foreign as anything. */
import { isPortableMount, type PortableMount } from '../cache/portable-mount.ts';
import { isPortableStep, type PortableLayer, type PortableStep } from '../cache/portable-step.ts';
import { TsbuildError } from '../errors.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { plainDescriptor } from '../oci/descriptor.ts';
import { type JsonValue, parseStrictJson } from '../oci/strict-json.ts';

export interface CacheRecords {
  readonly steps: readonly PortableStep[];
  readonly mounts: readonly PortableMount[];
}

/** More is refused, before it is parsed. */
export const RECORDS_BYTES_MAX = 32 << 20;
export const STEPS_MAX = 20_000;
const MOUNTS_MAX = 500;
const VERSION = 1;

/** The field of an image's config that holds records (`inline`). */
export const INLINE_FIELD = 'vnd.tsbuild.cache.v1';

export function encodeRecords(records: CacheRecords): Buffer {
  return canonicalJson(inlineField(records));
}

/** As a value. In one order, whatever ended first: the image's digest depends on it. */
export function inlineField({ steps, mounts }: CacheRecords): object {
  return { version: VERSION, steps: steps.toSorted((a, b) => (a.key < b.key ? -1 : 1)), mounts };
}

/** Throws IMAGE_INVALID where anything in it is not as it should be: of a cache that is partly wrong, nothing is believed. */
export function parseRecords(bytes: Uint8Array): CacheRecords {
  if (bytes.length > RECORDS_BYTES_MAX) throw wrong(`they are larger than ${RECORDS_BYTES_MAX} bytes`);
  return checkRecords(parseStrictJson(bytes, 'the records of the cache'));
}

export function checkRecords(value: JsonValue | undefined): CacheRecords {
  const { version, steps, mounts } = (value ?? {}) as { readonly [name: string]: JsonValue };
  if (version !== VERSION) throw wrong(`their version is ${JSON.stringify(version ?? null).slice(0, 20)}, not ${VERSION}`);
  if (!Array.isArray(steps) || !Array.isArray(mounts)) throw wrong('they have no steps or mounts');
  if (steps.length > STEPS_MAX || mounts.length > MOUNTS_MAX) throw wrong(`there are more than ${STEPS_MAX} steps or ${MOUNTS_MAX} mounts`);
  if (!steps.every(isPortableStep)) throw wrong('a step is malformed');
  if (!mounts.every(isPortableMount)) throw wrong('a cache mount is malformed');
  if (new Set(steps.map(({ key }) => key)).size < steps.length) throw wrong('a step is there twice');
  return { steps: steps.map(plainStep), mounts: mounts.map(plainMount) };
}

/** What records may have beside their fields goes no further. */
function plainStep({ key, parent, made, alias, layer, ground }: PortableStep): PortableStep {
  return {
    ...{ key, parent, made: { key: made.key, nonce: made.nonce } },
    ...(alias === true ? { alias } : {}),
    ...(layer === undefined ? {} : { layer: plainLayer(layer) }),
    ...(ground === undefined ? {} : { ground }),
  };
}

function plainLayer({ descriptor, diffId, form, createdAt }: PortableLayer): PortableLayer {
  return { descriptor: plainDescriptor(descriptor), diffId, form, createdAt };
}

function plainMount({ name, descriptor, diffId, mode, uid, gid }: PortableMount): PortableMount {
  return { name, descriptor: plainDescriptor(descriptor), diffId, mode, uid, gid };
}

function wrong(reason: string): TsbuildError {
  return new TsbuildError('IMAGE_INVALID', `Cannot use the records of the cache: ${reason}`);
}
