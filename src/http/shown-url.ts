/** Addresses carry passwords in their userinfo and signatures in their query. */

/** A URL as it may be shown: no userinfo, no query, no fragment. */
export function shownUrl({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}
