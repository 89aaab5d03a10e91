/** The fields of a `RUN --mount`, not judged. Source: Dockerfile reference "RUN --mount"; its form is CSV. */

/** `type=secret,id=x,required` → type, id and required; keys in lower case, `''` for a field without a value. */
export function mountFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const field of splitCsv(text)) {
    const equals = field.indexOf('=');
    const key = equals === -1 ? field : field.slice(0, equals);
    fields.set(key.trim().toLowerCase(), equals === -1 ? '' : field.slice(equals + 1));
  }
  return fields;
}

/** One line of CSV: a field may be quoted as a whole, a quote in it is doubled. */
function splitCsv(text: string): string[] {
  const fields: string[] = [];
  const pattern = /(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/gy;
  for (const [, quoted, plain] of text.matchAll(pattern)) fields.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
  return fields;
}
