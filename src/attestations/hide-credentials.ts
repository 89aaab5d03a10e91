/** Takes credentials out of what an attestation publishes (H8): those that stand in addresses, wherever the addresses stand. */

const URL_IN_TEXT = /\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s"'<>\\]+/gi;
const USERINFO = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i;
const PARAMETER = /([?&;])([^=&;#]*)=([^&;#]*)/g;
const SECRET_PARAMETER = /(?:^|[-_.])(?:x-amz|x-goog)|sig|token|secret|passw|credential|auth|key|code|session|jwt/i;
const HIDDEN = 'REDACTED';

/** The text with userinfo of addresses, and values of their parameters that look like credentials, replaced. */
export function hideCredentials(text: string): string {
  return text.replace(URL_IN_TEXT, (url) =>
    url
      .replace(USERINFO, `$1${HIDDEN}@`)
      .replace(PARAMETER, (whole, mark: string, name: string) => (SECRET_PARAMETER.test(name) ? `${mark}${name}=${HIDDEN}` : whole)),
  );
}

/** All strings of a plain value redacted, names of fields too. */
export function hideCredentialsIn<T>(value: T): T {
  return redacted(value) as T;
}

function redacted(value: unknown): unknown {
  if (typeof value === 'string') return hideCredentials(value);
  if (Array.isArray(value)) return value.map(redacted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [hideCredentials(name), redacted(item)]));
}
