/** `registries.json`: the user's word on registries, parsed strictly. docs/registries.md describes each key. */
import { isAbsolute, resolve } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { parseReference } from '../oci/reference.ts';
import { type JsonObject, type JsonValue, parseStrictJson } from '../oci/strict-json.ts';
import { didYouMean } from '../parser/suggest.ts';

/** A registry, or the part of one below a path. */
export interface Place {
  readonly registry: string;
  /** Such as `team/apps`; empty for all of the registry. */
  readonly path: string;
}

export interface RegistrySettings {
  /** Asked before it, in this order, for what is pulled. */
  readonly mirrors: readonly Place[];
  readonly blocked: boolean;
  /** Where it really is. */
  readonly location?: Place | undefined;
  /** May speak plain HTTP. */
  readonly insecure: boolean;
  /** Files of certificates and a key, absolute. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface Registries {
  /** Where it was read. */
  readonly file: string;
  /** By host, or host and path. */
  readonly entries: ReadonlyMap<string, RegistrySettings>;
}

export const NO_REGISTRIES: Registries = { file: 'none', entries: new Map() };

const KEYS = ['mirrors', 'blocked', 'location', 'insecure', 'ca', 'cert', 'key'];
/** Those that say how to talk to a host. */
const CONNECTION = ['insecure', 'ca', 'cert', 'key'];
const ENTRIES_MAX = 1000;
const MIRRORS_MAX = 16;

/** Throws CONFIGURATION_INVALID, with the place in the file. */
export function parseRegistries(bytes: Uint8Array, file: string): Registries {
  const document = objectOf(parseJson(bytes, file), { file, at: 'the document' });
  checkKeys(document, ['registries'], { file, at: 'the document' });
  const found = objectOf(document['registries'], { file, at: 'registries' });
  const names = Object.keys(found);
  if (names.length > ENTRIES_MAX) wrong({ file, at: 'registries' }, `has more than ${ENTRIES_MAX} entries`);
  return { file, entries: new Map(names.map((name) => [name, parseSettings(found[name], name, file)])) };
}

/** `host[:port][/path]`. Undefined where the text is none. */
export function parsePlace(text: string): Place | undefined {
  try {
    const { registry, repository } = parseReference(`${text}/x`);
    // Of Docker Hub itself, `docker.io/x` would be an official image.
    const found = text === registry ? `${registry}/x` : `${registry}/${repository}`;
    return found === `${text}/x` ? { registry, path: text.slice(registry.length + 1) } : undefined;
  } catch (error) {
    if (error instanceof TsbuildError) return undefined;
    throw error;
  }
}

interface Where {
  readonly file: string;
  /** The path of keys. */
  readonly at: string;
}

function parseSettings(value: JsonValue | undefined, name: string, file: string): RegistrySettings {
  const where = { file, at: `registries[${JSON.stringify(name.slice(0, 300))}]` };
  const place = parsePlace(name) ?? wrong(where, 'is not host[:port][/path]; a host has a dot or a port, or is localhost');
  const object = objectOf(value, where);
  checkKeys(object, KEYS, where);
  const settings = {
    mirrors: placesOf(object['mirrors'], place, { file, at: `${where.at}.mirrors` }),
    blocked: flagOf(object['blocked'], { file, at: `${where.at}.blocked` }),
    location: object['location'] === undefined ? undefined : targetOf(object['location'], place, { file, at: `${where.at}.location` }),
    insecure: flagOf(object['insecure'], { file, at: `${where.at}.insecure` }),
    ca: pathOf(object['ca'], { file, at: `${where.at}.ca` }),
    cert: pathOf(object['cert'], { file, at: `${where.at}.cert` }),
    key: pathOf(object['key'], { file, at: `${where.at}.key` }),
  };
  checkTogether(object, place, where);
  return settings;
}

function checkTogether(object: JsonObject, place: Place, where: Where): void {
  if ((object['cert'] === undefined) !== (object['key'] === undefined)) {
    wrong(where, `has ${object['cert'] === undefined ? 'key without cert' : 'cert without key'}`);
  }
  const connection = CONNECTION.find((key) => object[key] !== undefined);
  if (place.path !== '' && connection !== undefined) wrong(where, `has ${connection}, which is for a whole host`);
  const others = Object.keys(object).filter((key) => key === 'mirrors' || key === 'location');
  if (object['blocked'] === true && others.length > 0) wrong(where, `is blocked, so its ${others.join(' and ')} would never be asked`);
}

function placesOf(value: JsonValue | undefined, place: Place, where: Where): Place[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return wrong(where, 'is not a list');
  if (value.length > MIRRORS_MAX) wrong(where, `has more than ${MIRRORS_MAX} places`);
  return value.map((item: JsonValue, index) => targetOf(item, place, { file: where.file, at: `${where.at}[${index}]` }));
}

/** What stands for the path of the entry must leave a repository's name. */
function targetOf(value: JsonValue, from: Place, where: Where): Place {
  const target = typeof value === 'string' ? parsePlace(value) : undefined;
  if (target === undefined) return wrong(where, 'is not host[:port][/path]; a host has a dot or a port, or is localhost');
  if (from.path !== '' && target.path === '') wrong(where, `has no path, and ${JSON.stringify(from.path)} would be left out`);
  return target;
}

function flagOf(value: JsonValue | undefined, where: Where): boolean {
  return value === undefined || typeof value === 'boolean' ? value === true : wrong(where, 'is not true or false');
}

function pathOf(value: JsonValue | undefined, { file, at }: Where): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '' || value.includes('\0')) return wrong({ file, at }, 'is not the path of a file');
  return isAbsolute(value) ? value : resolve(file, '..', value);
}

function objectOf(value: JsonValue | undefined, where: Where): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  return wrong(where, value === undefined ? 'is missing' : 'is not an object');
}

function checkKeys(object: JsonObject, known: readonly string[], where: Where): void {
  const unknown = Object.keys(object).find((key) => !known.includes(key));
  if (unknown !== undefined) wrong(where, `has the unknown key ${JSON.stringify(unknown.slice(0, 100))}${didYouMean(unknown, known)}`);
}

function parseJson(bytes: Uint8Array, file: string): JsonValue {
  try {
    return parseStrictJson(bytes, file);
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    throw new TsbuildError('CONFIGURATION_INVALID', error.message, { hint: HINT });
  }
}

const HINT = 'docs/registries.md describes the file; TSBUILD_REGISTRIES names another one.';

function wrong({ file, at }: Where, reason: string): never {
  throw new TsbuildError('CONFIGURATION_INVALID', `Cannot use ${file}: ${at} ${reason}`, { hint: HINT });
}
