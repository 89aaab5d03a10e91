/**
 * File names are bytes. A `ByteString` holds one byte per character (latin1), so that names which are not UTF-8 survive,
 * `<` compares in byte order, and a name can be a Map key. It becomes a Buffer again at each system call.
 */
declare const bytes: unique symbol;
export type ByteString = string & { readonly [bytes]: true };

export function fromBuffer(buffer: Uint8Array): ByteString {
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString('latin1') as ByteString;
}

export function fromText(text: string): ByteString {
  return fromBuffer(Buffer.from(text, 'utf8'));
}

export function toBuffer(value: ByteString): Buffer {
  return Buffer.from(value, 'latin1');
}

/** As UTF-8, broken bytes replaced: what patterns are matched against. Most names are ASCII and need no decoding. */
export function toText(value: ByteString): string {
  return /[\x80-\xff]/.test(value) ? toBuffer(value).toString('utf8') : value;
}

/** For messages: UTF-8 where it is valid, control characters and broken bytes as `\xNN`. */
export function display(value: ByteString): string {
  const buffer = toBuffer(value);
  const text = buffer.toString('utf8');
  const printable = Buffer.from(text, 'utf8').equals(buffer) ? text : value.replace(/[\x80-\xff]/g, escapeChar);
  return printable.replace(/[\x00-\x1f\x7f-\x9f]/g, escapeChar);
}

function escapeChar(char: string): string {
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** `dir/name`, where '' is the root. */
export function join(dir: ByteString, name: ByteString): ByteString {
  return (dir === '' ? name : `${dir}/${name}`) as ByteString;
}

/** The parent of `a/b` is `a`; of `a`, the root ''. */
export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) as ByteString;
}

export function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1) as ByteString;
}
