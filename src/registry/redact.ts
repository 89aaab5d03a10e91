/** Takes secrets out of what a user may see: URLs carry passwords in their userinfo and signatures in their query. */

const URL_IN_TEXT = /https?:\/\/[^\s"'<>]+/g;
/** Longest piece of a registry's own words that goes into a message. */
const WORDS_MAX = 300;

/** A URL as it may be shown: no userinfo, no query, no fragment. */
export function redactUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** Foreign words for one line of a message: URLs redacted, control characters gone, bounded. */
export function redactText(text: string): string {
  const bounded = text.slice(0, WORDS_MAX * 4);
  const redacted = bounded.replace(URL_IN_TEXT, (match) => (URL.canParse(match) ? redactUrl(new URL(match)) : 'a URL'));
  return redacted
    .replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ')
    .trim()
    .slice(0, WORDS_MAX);
}
