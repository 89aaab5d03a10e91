/** What a registry says, in a line of a message of ours. */
import { shownUrl } from '../http/shown-url.ts';

const URL_IN_TEXT = /https?:\/\/[^\s"'<>]+/g;
/** Longest piece of a registry's own words that goes into a message. */
const WORDS_MAX = 300;

/** Foreign words for one line of a message: URLs redacted, control characters gone, bounded. */
export function quoteForeignWords(text: string): string {
  const bounded = text.slice(0, WORDS_MAX * 4);
  const redacted = bounded.replace(URL_IN_TEXT, (match) => (URL.canParse(match) ? shownUrl(new URL(match)) : 'a URL'));
  return redacted
    .replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ')
    .trim()
    .slice(0, WORDS_MAX);
}
