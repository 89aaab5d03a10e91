/** Changes one member of a JSON object in its text, so that numbers, order and spaces of all others stay as somebody wrote them. */

/** What Docker indents its file with. */
const INDENT = '\t';

/** `text` is valid JSON of an object; the last member of that name is the one that counts, as for `JSON.parse`. Adds it where it is not there. */
export function replaceMember(text: string, name: string, value: unknown): string {
  const json = JSON.stringify(value, undefined, INDENT).replaceAll('\n', `\n${INDENT}`);
  const { spans, end } = membersOf(text);
  const found = spans.findLast((span) => span.name === name);
  if (found !== undefined) return text.slice(0, found.start) + json + text.slice(found.end);
  const head = text.slice(0, end).trimEnd();
  const comma = spans.length === 0 ? '' : ',';
  return `${head}${comma}\n${INDENT}${JSON.stringify(name)}: ${json}\n${text.slice(end)}`;
}

interface Span {
  readonly name: string;
  /** Of the value. */
  readonly start: number;
  readonly end: number;
}

/** A string, a bracket, or a word; separators are what is between. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g;

/** The members of the outermost object, and where its closing brace is. */
function membersOf(text: string): { spans: Span[]; end: number } {
  const spans: Span[] = [];
  let [depth, end, name, start] = [0, text.length, '', -1];
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (depth === 1 && start === -1 && token.startsWith('"')) name = JSON.parse(token) as string;
    const closes = token === '}' || token === ']';
    if (closes) depth -= 1;
    if (start !== -1 && ((depth === 1 && token === ',') || depth === 0)) {
      spans.push({ name, start, end: text.slice(0, index).trimEnd().length });
      start = -1;
    }
    if (depth === 0 && closes) end = index;
    if (token === '{' || token === '[') depth += 1;
    if (depth === 1 && token === ':') start = index + 1 + (/^\s*/.exec(text.slice(index + 1))?.[0].length ?? 0);
  }
  return { spans, end };
}
