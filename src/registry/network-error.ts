/** A failure below HTTP in the user's words. */
import { isNativeError } from 'node:util/types';
import { failedRequest, RegistryError } from './registry-error.ts';
import { attemptsOfNetworkCode } from './retry.ts';
import { type Explanation, explainTls } from './tls-failure.ts';
import type { HttpRequest } from './transport.ts';

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'the connection was refused'],
  ['ECONNRESET', 'the connection was reset'],
  ['EPIPE', 'the connection was closed while sending'],
  ['ETIMEDOUT', 'the connection timed out'],
  ['ENOTFOUND', 'the host name cannot be resolved'],
  ['EAI_AGAIN', 'the name server does not answer'],
  ['ENETUNREACH', 'the network is unreachable'],
  ['EHOSTUNREACH', 'the host is unreachable'],
  ['UND_ERR_SOCKET', 'the connection was closed'],
  ['UND_ERR_CONNECT_TIMEOUT', 'no connection in time'],
  ['UND_ERR_HEADERS_TIMEOUT', 'no answer in time'],
  ['UND_ERR_BODY_TIMEOUT', 'the answer stalled'],
  ['UPLOAD_STALLED', 'it takes no more bytes'],
  ['UND_ERR_HEADERS_OVERFLOW', 'its headers are too large'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'the answer is not as long as its Content-Length'],
  ['TRUNCATED', 'the answer ended early'],
  ['HPE_INVALID', 'what it says is not HTTP'],
  ['PRIVATE_ADDRESS', 'the registry leads to a private address'],
]);

/** undici's, OpenSSL's or the kernel's error → RegistryError; what is none of these is a bug and comes back as it is. `proxy`: its host, where one is on the way. */
export function networkError(error: unknown, request: HttpRequest, proxy?: string): unknown {
  const code = codeOf(error);
  if (code === undefined || !isNetworkCode(code)) return error;
  const { reason, hint } = proxyRefusal(error) ?? explainTls(code) ?? explained(code);
  const way = proxy === undefined ? '' : ` through the proxy ${proxy}`;
  return new RegistryError('REGISTRY_UNREACHABLE', `Cannot ${request.action}: ${request.url.host}${way}: ${reason}`, {
    request: failedRequest(request.method, request.url),
    ...attemptsOfNetworkCode(code),
    hint,
    cause: error,
  });
}

/** undici has it in words only. */
function proxyRefusal(error: unknown): Explanation | undefined {
  const status = /^Proxy response \(([0-9]{3})\)/.exec(isNativeError(error) ? error.message : '')?.[1];
  if (status === undefined) return undefined;
  const hint = status === '407' ? 'User name and password of the proxy stand in its address: http://user:password@host:port.' : undefined;
  return { reason: `the proxy answered ${status}`, hint };
}

const HINTS: Readonly<Record<string, string>> = { ENETUNREACH: 'Check the network of this machine: it has no way there.' };

function explained(code: string): Explanation {
  const unresolved = code === 'ENOTFOUND' || code === 'EAI_AGAIN';
  return {
    reason: REASONS.get(code) ?? code,
    hint: unresolved ? 'Check the registry name and the DNS settings of this machine.' : HINTS[code],
  };
}

/** An answer of the given length ended after fewer bytes, or was longer. */
export function truncatedError(request: HttpRequest): RegistryError {
  return networkError(Object.assign(new Error('truncated'), { code: 'TRUNCATED' }), request) as RegistryError;
}

export function refusedTarget(request: HttpRequest, host: string): RegistryError {
  return new RegistryError('REGISTRY_ERROR', `Cannot ${request.action}: the registry leads to the private address ${host}`, {
    request: failedRequest(request.method, request.url),
  });
}

/** Not every code is the network's: a body may come from a file that cannot be read. */
function isNetworkCode(code: string): boolean {
  return (
    REASONS.has(code) ||
    explainTls(code) !== undefined ||
    (/^(UND_ERR_|HPE_|ERR_SSL_|ERR_TLS_|EPROTO$)/.test(code) && code !== 'UND_ERR_INVALID_ARG')
  );
}

/** The code of the error, or of the first of several that undici or Happy Eyeballs wrapped. */
function codeOf(error: unknown): string | undefined {
  if (!isNativeError(error)) return undefined;
  const inner = [...(error instanceof AggregateError ? error.errors : []), error.cause].map(codeOf).find((code) => code !== undefined);
  // undici gives no code to what its parser could not even begin with.
  const unnamed = error.name === 'HTTPParserError' ? 'HPE_INVALID' : undefined;
  const own = 'code' in error && typeof error.code === 'string' ? error.code : unnamed;
  return own === 'UND_ERR_SOCKET' || own === undefined ? (inner ?? own) : own;
}
