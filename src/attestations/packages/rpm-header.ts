/** The header of an installed rpm: an index of tags, then their values. Source: rpm's documentation, "RPM V4 package format" and "tags". */

const TAGS = {
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  summary: 1004,
  vendor: 1011,
  license: 1014,
  url: 1020,
  arch: 1022,
  sourceRpm: 1044,
} as const;

/** Numbers are written as text. */
export type RpmHeader = { readonly [Name in keyof typeof TAGS]?: string };

const ENTRY_BYTES = 16;
const ENTRIES_MAX = 1 << 16;
const [INT32, STRING, STRING_ARRAY, I18N_STRING] = [4, 6, 8, 9];

/** undefined for what is no header. Of strings in several languages, the first. */
export function rpmHeader(blob: Buffer): RpmHeader | undefined {
  if (blob.length < 8) return undefined;
  const [entries, dataLength] = [blob.readUInt32BE(0), blob.readUInt32BE(4)];
  const start = 8 + entries * ENTRY_BYTES;
  if (entries > ENTRIES_MAX || start + dataLength > blob.length) return undefined;
  const data = blob.subarray(start, start + dataLength);
  const header: { -readonly [Name in keyof RpmHeader]: string } = {};
  const names = new Map(Object.entries(TAGS).map(([name, tag]) => [tag as number, name as keyof typeof TAGS]));
  for (let at = 8; at < start; at += ENTRY_BYTES) {
    const name = names.get(blob.readUInt32BE(at));
    const value = name && valueAt(data, { type: blob.readUInt32BE(at + 4), offset: blob.readUInt32BE(at + 8) });
    if (name !== undefined && value !== undefined) header[name] ??= value;
  }
  return header;
}

function valueAt(data: Buffer, { type, offset }: { type: number; offset: number }): string | undefined {
  if (type === INT32) return offset + 4 <= data.length ? String(data.readUInt32BE(offset)) : undefined;
  if (type !== STRING && type !== STRING_ARRAY && type !== I18N_STRING) return undefined;
  const end = data.indexOf(0, offset);
  return offset < data.length && end !== -1 ? data.toString('utf8', offset, end) : undefined;
}
