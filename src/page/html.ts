/** HTML that is safe by construction: whatever is put into a template is escaped, unless it is HTML made by one. */

/** Made here alone: values that only look like it are text. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

type Part = Html | string | number | undefined | false | readonly Html[];

/** A template: values are escaped for text and for quoted attributes alike; undefined and false are nothing. */
export function markup(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(strings.reduce((text, string, i) => text + partMarkup(parts[i - 1]) + string));
}

/** Text as it is, for what goes into an element unescaped: our own style and script. */
export function trusted(text: string): Html {
  return new Html(text);
}

/** Says that a summary can be opened; drawn by the style. */
export const CHEVRON = markup`<span class="chevron" aria-hidden="true"></span>`;

function partMarkup(part: Part): string {
  if (part === undefined || part === false) return '';
  if (part instanceof Html) return part.markup;
  return Array.isArray(part) ? part.map(partMarkup).join('') : escapeText(String(part));
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
/** Controls, marks of direction, halves of pairs: shown, and not obeyed. Tabs and line breaks stay. */
const HIDDEN =
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff0-\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

export function escapeText(text: string): string {
  return text.replace(HIDDEN, shown).replace(/[&<>"']/g, (char) => ENTITIES[char] ?? '');
}

function shown(char: string): string {
  const code = char.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
