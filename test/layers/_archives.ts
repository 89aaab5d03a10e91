/** Archives as attackers like them: any bytes in any field, and the checksum right. */
import { encodePaxRecords } from '../../src/layers/pax-records.ts';
import { encodeTarHeader } from '../../src/layers/tar-header.ts';
import { b } from './_overlay.ts';

export const END = Buffer.alloc(1024);

/** Where the fields of a header are, and how wide. */
export const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 8],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
  trailer: [500, 12],
} as const satisfies Record<string, readonly [number, number]>;

export type Fields = { readonly [name in keyof typeof FIELDS]?: string | Buffer };

/** An empty file `f`, but for the fields. */
export function block(fields: Fields = {}): Buffer {
  const none = { uid: 0, gid: 0, size: 0, mtimeNs: 0n, major: 0, minor: 0, xattrs: new Map() };
  const bytes = encodeTarHeader({ ...none, path: b('f'), typeFlag: '0', mode: 0o644, linkPath: b('') });
  for (const [name, value] of Object.entries(fields) as [keyof Fields, string | Buffer][]) put(bytes, name, value);
  return sumUp(bytes);
}

export function put(header: Buffer, field: keyof Fields, value: string | Buffer): void {
  const [at, width] = FIELDS[field];
  header.fill(0, at, at + width);
  header.set(Buffer.from(typeof value === 'string' ? Buffer.from(value, 'latin1') : value).subarray(0, width), at);
}

/** Makes the checksum of the header that `bytes` start with right: behind a wrong one nothing is reached. */
export function sumUp(bytes: Buffer): Buffer {
  bytes.fill(0x20, 148, 156);
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0`, 148);
  return bytes;
}

export function withBody(fields: Fields, body: Buffer): Buffer {
  const size = body.length.toString(8).padStart(11, '0');
  return Buffer.concat([block({ size, ...fields }), body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

export function pax(records: Readonly<Record<string, string>>, type = 'x'): Buffer {
  return withBody({ type }, Buffer.from(encodePaxRecords(new Map(Object.entries(records))), 'latin1'));
}

/** Entries as honest as the fields let them be. */
export function file(name: string, content = 'content', fields: Fields = {}): Buffer {
  return withBody({ name, ...fields }, Buffer.from(content, 'latin1'));
}

export function directory(name: string, fields: Fields = {}): Buffer {
  return block({ name: `${name}/`, type: '5', mode: '0000755\0', ...fields });
}

export function link(name: string, target: string, fields: Fields = {}): Buffer {
  return block({ name, type: '2', link: target, ...fields });
}

export function hardLink(name: string, target: string): Buffer {
  return block({ name, type: '1', link: target });
}
