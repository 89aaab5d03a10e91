/** One HTTP exchange: no redirects, no credentials, no second try. The only file that imports undici, and only at the first request. */
import { lookup } from 'node:dns/promises';
import { setMaxListeners } from 'node:events';
import type { Agent, Dispatcher } from 'undici';
import { milliseconds } from '../clock.ts';
import { type HostScope, mayLeadTo, scopeOfAddress, scopeOfHost } from '../http/host-scope.ts';
import { type ChosenProxy, proxyFor } from '../http/proxy.ts';
import { type CertificateSources, readHostCertificates } from './certificates.ts';
import { compilingOnce } from './compile-once.ts';
import { tellingAlerts } from './connector.ts';
import { type Answer, dispatch } from './dispatch.ts';
import type { Endpoint } from './endpoint.ts';
import { guardBody } from './guard-body.ts';
import { guardedLookup } from './guarded-lookup.ts';
import { interruption } from './interruption.ts';
import { largeReads } from './large-reads.ts';
import { networkError, refusedTarget } from './network-error.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer | AsyncIterable<Buffer> | undefined;
  /** Longest wait for the headers of the answer; the transport's own limit where absent. */
  readonly answerMs?: number | undefined;
  /** What is being done, for messages, such as `pull docker.io/library/debian:latest`. */
  readonly action: string;
}

export interface HttpResponse {
  readonly url: URL;
  readonly status: number;
  /** One value; the first where the server repeats it. Names in lower case. */
  header(name: string): string | undefined;
  headers(name: string): readonly string[];
  /** Raw bytes: no content coding is undone. Throws RegistryError where the connection breaks or stalls. */
  readonly body: AsyncIterable<Buffer>;
  /** Drops what is left of the body. */
  discard(): void;
}

export interface TransportOptions {
  readonly signal: AbortSignal;
  /** Longest silence while bytes should move. */
  readonly idleMs: number;
  readonly connectMs: number;
  readonly certificates: CertificateSources;
}

export interface Transport {
  send(request: HttpRequest, endpoint: Endpoint): Promise<HttpResponse>;
  close(): Promise<void>;
}

/** Bytes of all headers of one answer. */
const HEADERS_MAX = 64 * 1024;
/** undici allows itself more sockets than a registry likes. */
const CONNECTIONS = 16;
/** Fewer bytes than this in one idle time are as good as none. */
const TRICKLE_BYTES = 4096;

export function openTransport(options: TransportOptions): Transport {
  const dispatchers = new Map<string, Promise<Dispatcher>>();
  // Our own signal, since each request under way listens to it: more than the ten that Node takes for a leak.
  const signal = AbortSignal.any([options.signal]);
  setMaxListeners(0, signal);
  return {
    async send(request, endpoint) {
      await checkLiteral(request, endpoint);
      const foreign = request.url.origin !== endpoint.origin;
      const proxy = proxyFor(request.url);
      const { host } = request.url;
      const key = `${endpoint.origin} ${foreign ? host : 'home'} ${proxy?.url.href ?? 'direct'}`;
      const found = dispatchers.get(key) ?? openDispatcher(options, endpoint, { host, foreign, proxy });
      dispatchers.set(key, found);
      return exchange(await found, request, { signal, idleMs: options.idleMs, proxy: proxy?.url.host });
    },
    async close() {
      for (const dispatcher of dispatchers.values()) await (await dispatcher).destroy();
    },
  };
}

interface Route {
  /** With its port. */
  readonly host: string;
  readonly foreign: boolean;
  readonly proxy: ChosenProxy | undefined;
}

async function openDispatcher(options: TransportOptions, endpoint: Endpoint, { host, foreign, proxy }: Route): Promise<Dispatcher> {
  // `default`: once bundled, a CommonJS module has no other names.
  const { Agent, ProxyAgent, buildConnector } = (await import('undici')).default;
  const certificates = await (foreign
    ? readHostCertificates(options.certificates, [host], 'trust')
    : readHostCertificates(options.certificates, [host, endpoint.registry], 'identity'));
  // Said here so that NODE_TLS_REJECT_UNAUTHORIZED and --tls-min-v1.0 cannot say otherwise.
  const strict = { rejectUnauthorized: true, minVersion: 'TLSv1.2' as const };
  const { ca, ...identity } = certificates;
  const tls = { ...strict, ...identity, ...(ca === undefined ? {} : { ca: [...ca] }) };
  const connect = {
    ...tls,
    timeout: options.connectMs,
    autoSelectFamily: true,
    ...(foreign ? { lookup: guardedLookup(() => scopesOf(endpoint)) } : {}),
  };
  const settings: Agent.Options = {
    connections: CONNECTIONS,
    headersTimeout: options.idleMs,
    bodyTimeout: options.idleMs,
    maxHeaderSize: HEADERS_MAX,
  };
  if (proxy !== undefined) {
    const { timeout } = connect;
    const token = proxy.authorization === undefined ? {} : { token: proxy.authorization };
    // What is for the registry alone is not shown to the proxy.
    return new ProxyAgent({
      ...settings,
      ...token,
      uri: proxy.url.href,
      requestTls: { ...tls, timeout },
      proxyTls: { ...strict, timeout },
    });
  }
  const secure = buildConnector(connect);
  const opened: typeof secure = (asked, callback) =>
    asked.protocol === 'https:' ? secure(asked, callback) : buildConnector({ ...connect, ...largeReads() })(asked, callback);
  return new Agent({ ...settings, connect: compilingOnce(tellingAlerts(opened, identity.cert === undefined ? 'none' : 'shown')) });
}

interface ExchangeLimits {
  readonly signal: AbortSignal;
  readonly idleMs: number;
  /** Host of the proxy on the way, for messages. */
  readonly proxy: string | undefined;
}

async function exchange(dispatcher: Dispatcher, request: HttpRequest, limits: ExchangeLimits): Promise<HttpResponse> {
  throwIfAborted(limits.signal, request);
  const { origin, pathname, search } = request.url;
  const { body, signal } = guardBody(request.body, limits);
  const options = {
    origin,
    path: pathname + search,
    method: request.method,
    headers: request.headers,
    ...(request.answerMs === undefined ? {} : { headersTimeout: request.answerMs }),
    ...(body === undefined ? {} : { body: body as Buffer }),
  };
  try {
    return asResponse(await dispatch(dispatcher, options, signal), request, limits);
  } catch (error) {
    throwIfAborted(limits.signal, request);
    throw networkError(error, request, limits.proxy);
  }
}

function asResponse({ status, headers, body, discard }: Answer, request: HttpRequest, limits: ExchangeLimits): HttpResponse {
  const valuesOf = (name: string): readonly string[] => {
    const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
    return value === undefined ? [] : typeof value === 'string' ? [value] : value;
  };
  return {
    url: request.url,
    ...{ status, discard },
    header: (name) => valuesOf(name)[0],
    headers: valuesOf,
    body: readBody(body, request, limits),
  };
}

/** undici notices silence; this notices a trickle too. Time that the reader takes does not count. */
async function* readBody(
  body: AsyncIterable<Buffer>,
  request: HttpRequest,
  { signal, idleMs, proxy }: ExchangeLimits,
): AsyncGenerator<Buffer> {
  let [asked, waited, bytes] = [milliseconds(), 0, 0];
  try {
    for await (const chunk of body) {
      waited += milliseconds() - asked;
      bytes += chunk.length;
      if (waited > idleMs) {
        if (bytes < TRICKLE_BYTES) throw Object.assign(new Error('trickle'), { code: 'UND_ERR_BODY_TIMEOUT' });
        waited = 0;
        bytes = 0;
      }
      yield chunk;
      asked = milliseconds();
    }
  } catch (error) {
    throwIfAborted(signal, request);
    throw networkError(error, request, proxy);
  }
}

function throwIfAborted(signal: AbortSignal, { action }: HttpRequest): void {
  if (signal.aborted) throw interruption(signal, action);
}

/** A host that the registry named as an address literal is not looked up, so it is checked here. */
async function checkLiteral(request: HttpRequest, endpoint: Endpoint): Promise<void> {
  const { url } = request;
  const scope = scopeOfHost(url.hostname);
  if (url.origin === endpoint.origin || scope === undefined || scope === 'public') return;
  if (!mayLeadTo(await scopesOf(endpoint), scope)) throw refusedTarget(request, url.hostname);
}

async function scopesOf(endpoint: Endpoint): Promise<HostScope[]> {
  const known = scopeOfHost(endpoint.hostname);
  if (known !== undefined) return [known];
  const addresses = await lookup(endpoint.hostname, { all: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.syscall === 'getaddrinfo') return [];
    throw error;
  });
  return addresses.map(({ address }) => scopeOfAddress(address));
}
