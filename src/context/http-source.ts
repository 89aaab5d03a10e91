/** One file over HTTP, for ADD. Only http and https; a redirect never leads from https to http. Loads undici with the first request. */
import type { Dispatcher } from 'undici';
import { TsbuildError } from '../errors.ts';
import { type ChosenProxy, proxyFor } from '../http/proxy.ts';
import { shownUrl } from '../http/shown-url.ts';

export interface HttpValidators {
  readonly etag?: string | undefined;
  /** As the server wrote it. */
  readonly lastModified?: string | undefined;
}

export interface HttpFetch {
  readonly url: URL;
  /** Of the copy that is here already: the server may answer that it is still good. */
  readonly known: HttpValidators;
  readonly signal: AbortSignal;
  /** Value of an Authorization header, for the URL's own origin alone; beats credentials in the URL. */
  readonly authorization?: string | undefined;
  /** Bytes at most; 32 GiB where absent. */
  readonly maxBytes?: number;
}

export type HttpAnswer =
  | { readonly kind: 'unchanged' }
  | ({ readonly kind: 'file'; readonly body: AsyncIterable<Buffer> } & HttpValidators);

const BYTES_MAX = 32 * 2 ** 30;
const REDIRECTS_MAX = 10;
const IDLE_MS = 60_000;
const CONNECT_MS = 30_000;
const HEADER_BYTES_MAX = 64 * 1024;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Calls `use` with the answer while the connection is open. Throws FETCH_FAILED. */
export async function fetchHttp<T>(fetch: HttpFetch, use: (answer: HttpAnswer) => Promise<T>): Promise<T> {
  await using dispatchers = openDispatchers();
  try {
    return await use(await follow(dispatchers, fetch));
  } catch (error) {
    fetch.signal.throwIfAborted();
    throw isNetworkError(error) ? failed(fetch.url, error.code, error) : error;
  }
}

interface Dispatchers extends AsyncDisposable {
  /** Each hop has the proxy that the environment says for it. */
  at(url: URL): Promise<Dispatcher>;
}

function openDispatchers(): Dispatchers {
  const open = new Map<string, Dispatcher>();
  return {
    async at(url) {
      const proxy = proxyFor(url);
      const key = proxy?.url.href ?? 'direct';
      const dispatcher = open.get(key) ?? (await openDispatcher(proxy));
      open.set(key, dispatcher);
      return dispatcher;
    },
    async [Symbol.asyncDispose]() {
      for (const dispatcher of open.values()) await dispatcher.destroy();
    },
  };
}

async function openDispatcher(proxy: ChosenProxy | undefined): Promise<Dispatcher> {
  // `default`: once bundled, a CommonJS module has no other names.
  const { Agent, ProxyAgent } = (await import('undici')).default;
  const tls = { rejectUnauthorized: true, minVersion: 'TLSv1.2' as const };
  const settings = {
    ...{ headersTimeout: IDLE_MS, bodyTimeout: IDLE_MS, maxHeaderSize: HEADER_BYTES_MAX },
    connect: { ...tls, timeout: CONNECT_MS, autoSelectFamily: true },
  };
  if (proxy === undefined) return new Agent(settings);
  const token = proxy.authorization === undefined ? {} : { token: proxy.authorization };
  return new ProxyAgent({ ...settings, ...token, uri: proxy.url.href, requestTls: tls, proxyTls: { ...tls, timeout: CONNECT_MS } });
}

async function follow(dispatchers: Dispatchers, fetch: HttpFetch): Promise<HttpAnswer> {
  const { url: start, known, signal, maxBytes = BYTES_MAX } = fetch;
  let url = start;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
    const { statusCode, headers, body } = await (await dispatchers.at(url)).request({
      ...{ origin: url.origin, path: url.pathname + url.search, method: 'GET', signal },
      headers: requestHeaders(url, fetch),
    });
    body.on('error', () => {});
    const header = (name: string) => (typeof headers[name] === 'string' ? headers[name] : undefined);
    if (statusCode === 200) {
      return { kind: 'file', body: bounded(body, start, maxBytes), etag: header('etag'), lastModified: header('last-modified') };
    }
    body.destroy();
    if (statusCode === 304 && (known.etag ?? known.lastModified) !== undefined) return { kind: 'unchanged' };
    if (!REDIRECTS.has(statusCode)) throw failed(start, `the server answers ${statusCode}`);
    url = redirected(url, header('location'), start);
  }
  throw failed(start, `more than ${REDIRECTS_MAX} redirects`);
}

/** Credentials of the URL go to the host that they were written for and to no other. */
function requestHeaders(url: URL, { url: start, authorization, known: { etag, lastModified } }: HttpFetch): Record<string, string> {
  const isHome = url.origin === start.origin;
  const userinfo = `${decodeURIComponent(start.username)}:${decodeURIComponent(start.password)}`;
  const credentials = authorization ?? (userinfo === ':' ? undefined : `Basic ${Buffer.from(userinfo).toString('base64')}`);
  return {
    'user-agent': 'tsbuild',
    // The bytes themselves: what is stored compressed stays so.
    'accept-encoding': 'identity',
    ...(isHome && credentials !== undefined ? { authorization: credentials } : {}),
    ...(etag !== undefined ? { 'if-none-match': etag } : lastModified !== undefined ? { 'if-modified-since': lastModified } : {}),
  };
}

function redirected(from: URL, location: string | undefined, start: URL): URL {
  const target = location === undefined || !URL.canParse(location, from.href) ? undefined : new URL(location, from);
  if (target === undefined) throw failed(start, 'a redirect leads nowhere');
  const isAllowed = target.protocol === 'https:' || (target.protocol === 'http:' && from.protocol === 'http:');
  if (!isAllowed) throw failed(start, `a redirect leads from ${from.protocol.slice(0, -1)} to ${target.protocol.slice(0, 20)}`);
  return target;
}

async function* bounded(body: AsyncIterable<Buffer>, url: URL, maxBytes: number): AsyncGenerator<Buffer, void, undefined> {
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) throw failed(url, `it is larger than ${maxBytes} bytes`);
    yield chunk;
  }
}

/** undici's, OpenSSL's or the kernel's; errors of files and ours pass as they are. */
function isNetworkError(error: unknown): error is Error & { code: string } {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return false;
  if ('syscall' in error && (!/^(connect|read|write|getaddrinfo)$/.test(String(error.syscall)) || error.code === 'ENOSPC')) return false;
  return !error.code.startsWith('ERR_TSBUILD_');
}

function failed(url: URL, reason: string, cause?: unknown): TsbuildError {
  return new TsbuildError('FETCH_FAILED', `Cannot fetch ${shownUrl(url)}: ${reason}`, { cause });
}
