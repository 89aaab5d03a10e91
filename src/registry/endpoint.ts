/** Which server speaks for the registry of a reference, and where it may send us. */
import { TsbuildError } from '../errors.ts';
import { isLoopbackHost } from '../http/host-scope.ts';

export interface Endpoint {
  /** As in references, such as `docker.io`. */
  readonly registry: string;
  /** Scheme, host and port; credentials are bound to exactly this. */
  readonly origin: string;
  readonly hostname: string;
  /** Plain HTTP was allowed, for a loopback address or by name. */
  readonly plain: boolean;
}

const DOCKER_HUB = 'docker.io';
const DOCKER_HUB_HOST = 'registry-1.docker.io';

/** docker.io → https://registry-1.docker.io; plain HTTP for loopback hosts and those named in `insecureRegistries` alone. */
export function endpointOf(registry: string, insecureRegistries: readonly string[]): Endpoint {
  const host = registry === DOCKER_HUB ? DOCKER_HUB_HOST : registry;
  if (!URL.canParse(`https://${host}`)) {
    throw new TsbuildError('REFERENCE_INVALID', `Cannot use ${JSON.stringify(registry.slice(0, 300))} as a registry: not host[:port]`);
  }
  const { hostname } = new URL(`https://${host}`);
  const plain = isLoopbackHost(hostname) || insecureRegistries.includes(registry);
  return { registry, origin: new URL(`${plain ? 'http' : 'https'}://${host}`).origin, hostname, plain };
}

/** A URL that the registry named, if it keeps the rules for it; else the rule that it breaks. */
export type Verdict = { readonly url: URL } | { readonly reason: string };

/** Where a redirect of a read may lead: never from https to http, never to a URL with userinfo. */
export function redirectTarget(location: string | undefined, from: URL): Verdict {
  const url = resolveUrl(location, from);
  if (url === undefined) return { reason: 'the redirect has no usable Location' };
  if (from.protocol === 'https:' && url.protocol === 'http:') return { reason: `the redirect to ${url.host} leaves https` };
  return { url };
}

/** Where an upload may continue: at the registry itself, or elsewhere by https (then without credentials). */
export function uploadTarget(location: string | undefined, from: URL, endpoint: Endpoint): Verdict {
  const url = resolveUrl(location, from);
  if (url === undefined) return { reason: 'the answer has no usable Location' };
  if (url.origin !== endpoint.origin && url.protocol !== 'https:') return { reason: `the upload Location at ${url.host} is plain HTTP` };
  return { url };
}

/** Where credentials may be sent for a token: by https, or for a plain HTTP registry to the same host. */
export function tokenRealm(realm: string | undefined, endpoint: Endpoint): Verdict {
  const url = realm === undefined || !URL.canParse(realm) ? undefined : resolveUrl(realm, new URL(endpoint.origin));
  if (url === undefined) return { reason: 'the challenge has no usable realm' };
  const sameHost = url.hostname === endpoint.hostname || (isLoopbackHost(url.hostname) && isLoopbackHost(endpoint.hostname));
  if (url.protocol === 'http:' && !(endpoint.plain && sameHost)) return { reason: `the token realm at ${url.host} is plain HTTP` };
  return { url };
}

function resolveUrl(location: string | undefined, base: URL): URL | undefined {
  if (location === undefined || location === '' || !URL.canParse(location, base.href)) return undefined;
  const url = new URL(location, base);
  const http = url.protocol === 'https:' || url.protocol === 'http:';
  return http && url.username === '' && url.password === '' ? url : undefined;
}
