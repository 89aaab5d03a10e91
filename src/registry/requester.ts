/** Requests to a registry's API: credentials, redirects, retries, and statuses as errors. */
import type { Authorizer, Scope } from './authorizer.ts';
import { parseChallenges } from './challenge.ts';
import { type Endpoint, redirectTarget } from './endpoint.ts';
import { type DocumentLimits, readDocument } from './read-document.ts';
import { errorNameOf, failedRequest, parseErrorBody, RegistryError } from './registry-error.ts';
import { attemptsOfStatus, parseRetryAfter, type RetryPolicy, takeTurn, withRetries } from './retry.ts';
import type { HttpRequest, HttpResponse, Transport } from './transport.ts';

export interface RegistryRequest {
  readonly method: HttpRequest['method'];
  readonly registry: string;
  /** From `/v2/` on, with its query; or a URL that the registry gave and that endpoint.ts allowed. */
  readonly target: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called anew each time the request is sent. */
  readonly open?: () => Buffer | AsyncIterable<Buffer>;
  readonly scopes: readonly Scope[];
  /** Statuses that are an answer; all others throw. */
  readonly accept: readonly number[];
  readonly action: string;
  readonly answerMs?: number | undefined;
}

export interface Requester {
  /** Sends, and sends again as the retry table says. */
  send(request: RegistryRequest): Promise<HttpResponse>;
  /** Sends once (challenges and redirects apart): for callers that must prepare each try. */
  sendOnce(request: RegistryRequest): Promise<HttpResponse>;
  /** Sends and reads a small answer whole, again as the retry table says. */
  read(request: RegistryRequest, limits: DocumentLimits): Promise<{ readonly response: HttpResponse; readonly bytes: Buffer }>;
  endpoint(registry: string): Endpoint;
}

export interface RequesterOptions {
  readonly transport: Transport;
  readonly authorizer: Authorizer;
  readonly endpointOf: (registry: string) => Endpoint;
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal;
  readonly userAgent: string;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const REDIRECTS_MAX = 10;
/** A challenge is answered at most so often for one request. */
const ANSWERS_MAX = 2;
const ERROR_BODY_MAX = 64 * 1024;
const ERROR_DEADLINE_MS = 10_000;
/** What servers of Go, nginx and Apache say to plain HTTP on their TLS port. */
const WANTS_TLS = /HTTP request to an HTTPS server|HTTP request was sent to HTTPS port|plain HTTP to an SSL-enabled server port/;

export function openRequester(options: RequesterOptions): Requester {
  const endpoints = new Map<string, Endpoint>();
  const endpoint = (registry: string): Endpoint => {
    const found = endpoints.get(registry) ?? options.endpointOf(registry);
    endpoints.set(registry, found);
    return found;
  };
  const sendOnce = async (request: RegistryRequest): Promise<HttpResponse> => {
    const used = endpoint(request.registry);
    const response = await sendAuthorized(options, used, request);
    if (request.accept.includes(response.status)) return response;
    const secure = response.status === 400 ? await upgraded(options, used, request) : undefined;
    if (secure === undefined) throw await statusError(options, used, { request, response });
    response.discard();
    endpoints.set(request.registry, secure);
    return sendOnce(request);
  };
  const { policy, signal } = options;
  return {
    sendOnce,
    endpoint,
    send: (request) => withRetries(policy, signal, () => sendOnce(request)),
    read: (request, limits) =>
      withRetries(policy, signal, async () => {
        const response = await sendOnce(request);
        const { method, action } = request;
        return { response, bytes: await readDocument(response, { method, action, url: response.url, headers: {} }, limits) };
      }),
  };
}

async function sendAuthorized(options: RequesterOptions, endpoint: Endpoint, request: RegistryRequest): Promise<HttpResponse> {
  const { authorizer } = options;
  const { scopes, action } = request;
  let used = await authorizer.known(endpoint, scopes, action);
  for (let answers = 0; ; answers += 1) {
    const response = await follow(options, endpoint, { request, authorization: used });
    // Another host's challenge is never answered with this registry's credentials.
    if (response.status !== 401 || response.url.origin !== endpoint.origin || answers === ANSWERS_MAX) return response;
    const next = await authorizer.answer(endpoint, parseChallenges(response.headers('www-authenticate')), { scopes, used, action });
    if (next === undefined) return response;
    response.discard();
    used = next;
  }
}

interface AuthorizedRequest {
  readonly request: RegistryRequest;
  readonly authorization: string | undefined;
}

async function follow(options: RequesterOptions, endpoint: Endpoint, { request, authorization }: AuthorizedRequest): Promise<HttpResponse> {
  let url = new URL(request.target, endpoint.origin);
  let trusted = url.origin === endpoint.origin;
  for (let hops = 0; ; hops += 1) {
    const sent = httpRequest(options, request, { url, authorization: trusted ? authorization : undefined });
    await takeTurn(options.policy, options.signal, url);
    const response = await options.transport.send(sent, endpoint);
    if (response.status !== 429) options.policy.pace.taken(url.origin);
    if (!REDIRECTS.has(response.status) || request.accept.includes(response.status)) return response;
    response.discard();
    if (hops === REDIRECTS_MAX) throw redirectError(sent, `more than ${REDIRECTS_MAX} redirects`);
    const verdict = redirectTarget(response.header('location'), url);
    if ('reason' in verdict) throw redirectError(sent, verdict.reason);
    const reads = request.method === 'GET' || request.method === 'HEAD';
    const repeats = response.status === 307 || response.status === 308;
    if (!reads && !(repeats && verdict.url.origin === endpoint.origin && trusted)) {
      throw redirectError(sent, `the registry redirects a ${request.method} to ${verdict.url.host}`);
    }
    // Once away from the registry, credentials stay away, even if the next hop leads back.
    trusted &&= verdict.url.origin === endpoint.origin;
    url = verdict.url;
  }
}

interface Sending {
  readonly url: URL;
  readonly authorization: string | undefined;
}

function httpRequest({ userAgent }: RequesterOptions, request: RegistryRequest, { url, authorization }: Sending): HttpRequest {
  const headers = { 'user-agent': userAgent, ...request.headers, ...(authorization === undefined ? {} : { authorization }) };
  return { method: request.method, url, headers, body: request.open?.(), answerMs: request.answerMs, action: request.action };
}

function redirectError({ action, method, url }: HttpRequest, reason: string): RegistryError {
  return new RegistryError('REGISTRY_ERROR', `Cannot ${action}: ${reason}`, { request: failedRequest(method, url) });
}

interface BadAnswer {
  readonly request: RegistryRequest;
  readonly response: HttpResponse;
}

async function statusError({ authorizer, policy }: RequesterOptions, endpoint: Endpoint, bad: BadAnswer): Promise<RegistryError> {
  const { request, response } = bad;
  const { status, url } = response;
  const { codes, words } = parseErrorBody(await errorBody(request, response));
  const said = [String(status), ...codes].join(' ') + (words === '' ? '' : `: ${words}`);
  return new RegistryError(errorNameOf(status), `Cannot ${request.action}: ${said}`, {
    request: failedRequest(request.method, url),
    status,
    codes,
    attemptsMax: isExpired(response, endpoint) ? 2 : attemptsOfStatus(status),
    retryAfterMs: parseRetryAfter(response.header('retry-after'), policy.now()),
    hint: statusHint(status, authorizer.source(endpoint, request.scopes)),
  });
}

/** What a store of blobs says to a signed address whose time is over: the registry gives a new one. */
function isExpired({ status, url }: HttpResponse, endpoint: Endpoint): boolean {
  return url.origin !== endpoint.origin && (status === 400 || status === 403);
}

/** The endpoint by https, where plain HTTP was allowed but its port speaks TLS: servers say so. The safe direction. */
async function upgraded(
  { transport, userAgent }: RequesterOptions,
  endpoint: Endpoint,
  request: RegistryRequest,
): Promise<Endpoint | undefined> {
  if (!endpoint.plain || endpoint.origin.startsWith('https:')) return undefined;
  const probe: HttpRequest = {
    method: 'GET',
    url: new URL('/v2/', endpoint.origin),
    headers: { 'user-agent': userAgent },
    action: request.action,
  };
  const answer = await errorBody({ method: 'GET', action: request.action }, await transport.send(probe, endpoint));
  return WANTS_TLS.test(answer) ? { ...endpoint, origin: endpoint.origin.replace(/^http:/, 'https:') } : undefined;
}

/** The status says enough where its body cannot be had. */
async function errorBody({ method, action }: Pick<RegistryRequest, 'method' | 'action'>, response: HttpResponse): Promise<string> {
  if (method === 'HEAD') return '';
  try {
    const request = { method, action, url: response.url, headers: {} };
    return (await readDocument(response, request, { maxBytes: ERROR_BODY_MAX, deadlineMs: ERROR_DEADLINE_MS })).toString('utf8');
  } catch (error) {
    if (error instanceof RegistryError) return '';
    throw error;
  }
}

function statusHint(status: number, source: string | undefined): string | undefined {
  const used = source ?? 'none, since the registry did not ask for any';
  if (status === 401 || status === 403)
    return `Credentials used: ${used}. Log in, or check the name: private and absent repositories look alike.`;
  if (status === 429) return `The registry limits its requests; credentials used: ${used}.`;
  return undefined;
}
