/** Ways to cut an instruction's arguments into words. Quotes, escapes and variables stay in the words. */

import type { Escape } from './instruction.ts';

const BLANKS = /[\t\v\f\r ]+/;

/** At blanks, whatever the quotes: FROM, COPY, ADD, VOLUME and EXPOSE do it so. */
export function splitBlanks(text: string): string[] {
  return text === '' ? [] : text.split(BLANKS).filter((word) => word !== '');
}

/** The first word and the rest of the line. */
export function splitFirst(text: string): { first: string; rest: string } {
  const at = text.search(BLANKS);
  return at === -1 ? { first: text, rest: '' } : { first: text.slice(0, at), rest: text.slice(at).trim() };
}

/** At blanks that are neither quoted nor escaped: ENV, LABEL and ARG do it so. A quote that does not close takes the rest. */
export function splitQuoted(text: string, escapeChar: Escape): string[] {
  const words: string[] = [];
  let start = -1;
  let quote = '';
  for (let index = 0; index < text.length; index++) {
    const char = text.charAt(index);
    if (quote === '' && isBlank(char)) {
      if (start !== -1) words.push(text.slice(start, index));
      start = -1;
      continue;
    }
    if (start === -1) start = index;
    if (char === escapeChar && quote !== "'") index++;
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
  }
  if (start !== -1) words.push(text.slice(start));
  return words;
}

export function isBlank(char: string): boolean {
  return char === ' ' || char === '\t' || (char !== '' && char.trim() === '');
}
