/** Records of `Name: value` lines with empty lines between them. Source: deb822(5), RFC 822; Python's core metadata. */

/** By names in lower case, the first of a name; lines that begin with a space go on. */
export type Stanza = ReadonlyMap<string, string>;

export function* stanzas(text: string): Generator<Stanza> {
  let stanza = new Map<string, string>();
  let name: string | undefined;
  for (const line of lines(text)) {
    if (line.trim() === '') {
      if (stanza.size > 0) yield stanza;
      stanza = new Map();
      name = undefined;
    } else if (/^[ \t]/.test(line)) {
      if (name !== undefined) stanza.set(name, `${stanza.get(name) ?? ''}\n${line.trim()}`);
    } else {
      const colon = line.indexOf(':');
      const key = line.slice(0, Math.max(0, colon)).toLowerCase();
      name = key === '' || stanza.has(key) ? undefined : key;
      if (name !== undefined) stanza.set(name, line.slice(colon + 1).trim());
    }
  }
  if (stanza.size > 0) yield stanza;
}

/** One after the other, so that a big file is not held twice. */
function* lines(text: string): Generator<string> {
  let start = 0;
  while (start < text.length) {
    const end = text.indexOf('\n', start);
    const line = text.slice(start, end === -1 ? text.length : end);
    yield line.endsWith('\r') ? line.slice(0, -1) : line;
    start = end === -1 ? text.length : end + 1;
  }
}
