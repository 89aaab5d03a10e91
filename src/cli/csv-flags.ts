/** Flags whose value is a list of fields, `id=x,src=file`, in CSV as docker reads it. */
import { TsbuildError } from '../errors.ts';

/** The fields of one value; keys in lower case, a field without `=` has no value. A quoted field may hold commas. Throws USAGE. */
export function csvFields(flag: string, text: string): [key: string, value: string | undefined][] {
  return csvWords(flag, text).map((field) => {
    const equals = field.indexOf('=');
    return equals === -1 ? [field.toLowerCase(), undefined] : [field.slice(0, equals).toLowerCase(), field.slice(equals + 1)];
  });
}

/** The fields as they are, without their quotes. */
export function csvWords(flag: string, text: string): string[] {
  const words: string[] = [];
  const pattern = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/gy;
  for (let end = -1; end < text.length; end = pattern.lastIndex) {
    const match = pattern.exec(text);
    if (match === null) throw new TsbuildError('USAGE', `Cannot read ${JSON.stringify(text)} as ${flag}: a quote in the wrong place`);
    words.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] === '') break;
  }
  return words;
}
