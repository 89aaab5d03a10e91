/** A reader of layer archives for tests, apart from ours, so that the two judge each other. Source: POSIX pax, GNU tar manual. */

export interface TarEntry {
  /** Without a leading `./` or `/` and without a slash at the end; the root is ''. */
  readonly name: string;
  readonly type: 'file' | 'hard' | 'link' | 'char' | 'block' | 'dir' | 'fifo';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds. */
  readonly mtime: number;
  readonly link: string;
  readonly device: string;
  readonly xattrs: Readonly<Record<string, string>>;
  readonly content: Buffer;
}

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  ...{ '0': 'file', '\0': 'file', '1': 'hard', '2': 'link', '3': 'char', '4': 'block', '5': 'dir', '6': 'fifo' },
};
const XATTR = 'SCHILY.xattr.';

/** All entries of an uncompressed archive. */
export function readTarEntries(tar: Buffer): TarEntry[] {
  const entries: TarEntry[] = [];
  let extended = new Map<string, Buffer>();
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const header = tar.subarray(at, at + 512);
    const size = Number(extended.get('size')?.toString() ?? number(header, 124, 12));
    const content = tar.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
    const kind = String.fromCharCode(header[156] ?? 0);
    if (kind === 'x') extended = paxRecords(content);
    else if (kind === 'L') extended.set('path', content.subarray(0, content.indexOf(0)));
    else if (kind === 'K') extended.set('linkpath', content.subarray(0, content.indexOf(0)));
    else {
      entries.push(toEntry(header, { kind, extended, content }));
      extended = new Map();
    }
  }
  return entries;
}

function toEntry(header: Buffer, { kind, extended, content }: { kind: string; extended: Map<string, Buffer>; content: Buffer }): TarEntry {
  const type = TYPES[kind];
  if (type === undefined) throw new Error(`tar entry of type ${JSON.stringify(kind)}`);
  const prefix = text(header, 345, 155);
  const value = (key: string) => extended.get(key)?.toString();
  const xattrs = [...extended].filter(([key]) => key.startsWith(XATTR)).map(([key, bytes]) => [key.slice(XATTR.length), show(bytes)]);
  return {
    name: cleanName(value('path') ?? (prefix === '' ? '' : `${prefix}/`) + text(header, 0, 100)),
    type,
    mode: number(header, 100, 8) & 0o7777,
    uid: Number(value('uid') ?? number(header, 108, 8)),
    gid: Number(value('gid') ?? number(header, 116, 8)),
    mtime: Math.floor(Number(value('mtime') ?? number(header, 136, 12))),
    link: value('linkpath') ?? text(header, 157, 100),
    device: `${number(header, 329, 8)}:${number(header, 337, 8)}`,
    xattrs: Object.fromEntries(xattrs),
    content,
  };
}

export function cleanName(name: string): string {
  return name.replace(/^(\.?\/)+|^\.$/, '').replace(/\/+$/, '');
}

function paxRecords(content: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const end = at + Number(content.toString('latin1', at, space));
    const equals = content.indexOf(0x3d, space);
    records.set(content.toString('utf8', space + 1, equals), content.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

function text(header: Buffer, at: number, length: number): string {
  const field = header.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
}

/** Octal, or base 256 where the first bit is set. */
function number(header: Buffer, at: number, length: number): number {
  const field = header.subarray(at, at + length);
  if (((field[0] ?? 0) & 0x80) === 0) return Number.parseInt(field.toString('latin1').replace(/[\0 ]/g, '') || '0', 8);
  return field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
}

/** Printable bytes as they are, others as hexadecimal. */
function show(bytes: Buffer): string {
  return bytes.every((byte) => byte >= 0x20 && byte < 0x7f) ? bytes.toString('latin1') : `0x${bytes.toString('hex')}`;
}
