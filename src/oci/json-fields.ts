/** Typed fields of a strictly parsed document. `null` counts as absent: Go writes it for empty values. */
import { TsbuildError } from '../errors.ts';
import type { JsonObject, JsonValue } from './strict-json.ts';

/** An object of a document and its name in messages, such as `manifest sha256:… of debian:latest`. */
export interface Fields {
  readonly subject: string;
  readonly object: JsonObject;
}

/**
 * `value` as an object whose names in `known` are spelled exactly so: Go's reader takes `Layers` for `layers`, ours does
 * not, so the two would see different images. Throws IMAGE_INVALID.
 */
export function fieldsOf(value: JsonValue | undefined, subject: string, known: readonly string[]): Fields {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return invalid(subject, 'it is not an object');
  const object = value as JsonObject;
  const lower = new Map(known.map((name) => [name.toLowerCase(), name]));
  for (const name of Object.keys(object)) {
    const exact = lower.get(name.toLowerCase());
    if (exact !== undefined && exact !== name) invalid(subject, `it spells ${exact} as ${JSON.stringify(name.slice(0, 100))}`);
  }
  return { subject, object };
}

export function has(fields: Fields, name: string): boolean {
  return (fields.object[name] ?? null) !== null;
}

export function stringField(fields: Fields, name: string): string | undefined {
  const value = fields.object[name] ?? undefined;
  return value === undefined || typeof value === 'string' ? value : invalid(fields.subject, `${name} is not a string`);
}

export function requiredString(fields: Fields, name: string): string {
  return stringField(fields, name) ?? invalid(fields.subject, `${name} is missing`);
}

export function booleanField(fields: Fields, name: string): boolean | undefined {
  const value = fields.object[name] ?? undefined;
  return value === undefined || typeof value === 'boolean' ? value : invalid(fields.subject, `${name} is not true or false`);
}

/** A number of bytes: a safe integer, not negative. */
export function sizeField(fields: Fields, name: string): number {
  const value = fields.object[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  return invalid(fields.subject, `${name} is not a number of bytes`);
}

export function arrayField(fields: Fields, name: string): readonly JsonValue[] | undefined {
  const value = fields.object[name] ?? undefined;
  if (value === undefined) return undefined;
  return Array.isArray(value) ? (value as readonly JsonValue[]) : invalid(fields.subject, `${name} is not an array`);
}

export function stringArrayField(fields: Fields, name: string): readonly string[] | undefined {
  const items = arrayField(fields, name);
  if (items?.every((item) => typeof item === 'string') === false) invalid(fields.subject, `${name} holds something else than strings`);
  return items as readonly string[] | undefined;
}

/** Without a prototype, as every map of foreign names. */
export function stringMapField(fields: Fields, name: string): Readonly<Record<string, string>> | undefined {
  if (!has(fields, name)) return undefined;
  const { object } = fieldsOf(fields.object[name], `${name} of ${fields.subject}`, []);
  if (!Object.values(object).every((value) => typeof value === 'string'))
    invalid(fields.subject, `${name} holds something else than strings`);
  return object as Readonly<Record<string, string>>;
}

/** A set as Go writes it: `{"80/tcp": {}}`. */
export function setField(fields: Fields, name: string): Readonly<Record<string, Record<string, never>>> | undefined {
  if (!has(fields, name)) return undefined;
  const { object } = fieldsOf(fields.object[name], `${name} of ${fields.subject}`, []);
  const set: Record<string, Record<string, never>> = Object.create(null);
  for (const key of Object.keys(object)) set[key] = {};
  return set;
}

export function invalid(subject: string, reason: string): never {
  throw new TsbuildError('IMAGE_INVALID', `Cannot use ${subject}: ${reason}`);
}
