/** Bearer tokens from the registry's token server. Source: Docker's "Token Authentication" and "OAuth2 Token Authentication". */
import type { Challenge } from './challenge.ts';
import type { Credential } from './credential.ts';
import { type Endpoint, tokenRealm } from './endpoint.ts';
import { readDocument } from './read-document.ts';
import { errorNameOf, failedRequest, parseErrorBody, RegistryError } from './registry-error.ts';
import { attemptsOfStatus, parseRetryAfter, type RetryPolicy, takeTurn } from './retry.ts';
import type { HttpRequest, HttpResponse, Transport } from './transport.ts';

export interface Token {
  readonly value: string;
  /** Milliseconds since the epoch by our clock, a little before the server's own end. */
  readonly expiresAt: number;
  /** What can be kept instead of the password, where it was asked for and the server gives one. */
  readonly identity?: string | undefined;
}

export interface TokenRealm {
  readonly url: URL;
  readonly service: string | undefined;
}

export interface TokenQuestion {
  readonly scopes: readonly string[];
  readonly credential: Credential | undefined;
  readonly action: string;
  /** Asks for an identity token as well. */
  readonly offline?: boolean | undefined;
}

export type FetchToken = (endpoint: Endpoint, realm: TokenRealm, question: TokenQuestion) => Promise<Token>;

const TOKEN_BODY_MAX = 1024 * 1024;
const TOKEN_MAX = 64 * 1024;
const DEADLINE_MS = 60_000;
/** What Docker's documentation says for a server that does not say. */
const LIFETIME_DEFAULT_S = 60;
const CLIENT_ID = 'tsbuild';

/** The realm of a Bearer challenge, if credentials may go there. Throws REGISTRY_ERROR where not. */
export function realmOf(challenge: Challenge, endpoint: Endpoint, action: string): TokenRealm {
  const verdict = tokenRealm(challenge.parameters.get('realm'), endpoint);
  if ('url' in verdict) return { url: verdict.url, service: challenge.parameters.get('service') };
  const request = failedRequest('GET', new URL(endpoint.origin));
  throw new RegistryError('REGISTRY_ERROR', `Cannot ${action}: ${verdict.reason}`, { request });
}

export interface TokenSource {
  readonly transport: Transport;
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal;
  readonly userAgent: string;
}

/** Tokens over `transport`, asked for once: who needs the token retries. Refusals become REGISTRY_UNAUTHORIZED. */
export function tokenFetcher({ transport, policy, signal, userAgent }: TokenSource): FetchToken {
  return async (endpoint, realm, question) => {
    const request = tokenRequest(realm, question, userAgent);
    await takeTurn(policy, signal, request.url);
    const response = await transport.send(request, endpoint);
    const body = (await readDocument(response, request, { maxBytes: TOKEN_BODY_MAX, deadlineMs: DEADLINE_MS })).toString('utf8');
    if (response.status !== 200) throw tokenRefused(request, response, { body, now: policy.now() });
    return parseToken(request, body, policy.now());
  };
}

function tokenRequest({ url: realm, service }: TokenRealm, question: TokenQuestion, userAgent: string): HttpRequest {
  const { scopes, credential, action } = question;
  const fields = new URLSearchParams(service === undefined ? {} : { service });
  const headers = { 'user-agent': userAgent, accept: 'application/json' };
  if (credential?.kind === 'identity-token') {
    fields.set('grant_type', 'refresh_token');
    fields.set('refresh_token', credential.token);
    fields.set('client_id', CLIENT_ID);
    if (scopes.length > 0) fields.set('scope', scopes.join(' '));
    const form = { ...headers, 'content-type': 'application/x-www-form-urlencoded' };
    return { method: 'POST', url: realm, headers: form, body: Buffer.from(fields.toString()), action };
  }
  const url = new URL(realm);
  for (const [name, value] of fields) url.searchParams.set(name, value);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (credential?.kind !== 'password') return { method: 'GET', url, headers, action };
  url.searchParams.set('account', credential.username);
  if (question.offline === true) {
    url.searchParams.set('client_id', CLIENT_ID);
    url.searchParams.set('offline_token', 'true');
  }
  const basic = Buffer.from(`${credential.username}:${credential.password}`, 'utf8').toString('base64');
  return { method: 'GET', url, headers: { ...headers, authorization: `Basic ${basic}` }, action };
}

function tokenRefused(request: HttpRequest, response: HttpResponse, { body, now }: { body: string; now: number }): RegistryError {
  const { status } = response;
  const { codes, words } = parseErrorBody(body);
  // A server that finds the grant wrong says 400. Source: RFC 6749 section 5.2.
  const name = status === 400 || status === 401 || status === 403 ? 'REGISTRY_UNAUTHORIZED' : errorNameOf(status);
  const said = [String(status), ...codes].join(' ') + (words === '' ? '' : `: ${words}`);
  return new RegistryError(name, `Cannot ${request.action}: the token server ${request.url.host} answered ${said}`, {
    request: failedRequest(request.method, request.url),
    status,
    codes,
    attemptsMax: attemptsOfStatus(status),
    retryAfterMs: parseRetryAfter(response.header('retry-after'), now),
  });
}

function parseToken(request: HttpRequest, body: string, now: number): Token {
  const answer = parseJsonObject(body);
  const value = [answer.token, answer.access_token].find((text) => typeof text === 'string' && text !== '');
  if (!isUsable(value)) {
    throw new RegistryError('REGISTRY_ERROR', `Cannot ${request.action}: the token server ${request.url.host} sent no usable token`, {
      request: failedRequest(request.method, request.url),
      status: 200,
    });
  }
  const seconds = typeof answer.expires_in === 'number' && answer.expires_in >= 0 ? answer.expires_in : LIFETIME_DEFAULT_S;
  // `issued_at` is not looked at: clocks differ.
  const expiresAt = now + seconds * 1000 - Math.min(10_000, seconds * 250);
  return { value, expiresAt, ...(isUsable(answer.refresh_token) ? { identity: answer.refresh_token } : {}) };
}

/** Visible ASCII alone: anything else could break out of the header that it goes into. */
function isUsable(token: unknown): token is string {
  return typeof token === 'string' && token.length <= TOKEN_MAX && /^[\x21-\x7e]+$/.test(token);
}

function parseJsonObject(body: string): { token?: unknown; access_token?: unknown; refresh_token?: unknown; expires_in?: unknown } {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? value : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
