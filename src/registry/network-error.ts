/** A failure below HTTP in the user's words. */
import { isNativeError } from 'node:util/types';
import { failedRequest, RegistryError } from './registry-error.ts';
import { attemptsOfNetworkCode } from './retry.ts';
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

const TRUST_HINT =
  'Put the certificate of the authority into NODE_EXTRA_CA_CERTS or /etc/docker/certs.d/<host>/ca.crt; certificate checks cannot be turned off.';

/** undici's, OpenSSL's or the kernel's error → RegistryError; what is none of these is a bug and comes back as it is. */
export function networkError(error: unknown, request: HttpRequest): unknown {
  const code = codeOf(error);
  if (code === undefined || !isNetworkCode(code)) return error;
  const certificate = isCertificateCode(code);
  const reason = certificate ? `its certificate is not trusted (${code})` : (REASONS.get(code) ?? code);
  return new RegistryError('REGISTRY_UNREACHABLE', `Cannot ${request.action}: ${request.url.host}: ${reason}`, {
    request: failedRequest(request.method, request.url),
    attemptsMax: attemptsOfNetworkCode(code),
    hint: certificate ? TRUST_HINT : hintOf(code),
    cause: error,
  });
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

function hintOf(code: string): string | undefined {
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'EPROTO' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return 'If the registry speaks plain HTTP on purpose, name it in insecureRegistries.';
  }
  return code === 'ENOTFOUND' || code === 'EAI_AGAIN' ? 'Check the registry name and the DNS settings of this machine.' : undefined;
}

/** Not every code is the network's: a body may come from a file that cannot be read. */
function isNetworkCode(code: string): boolean {
  return (
    REASONS.has(code) ||
    isCertificateCode(code) ||
    (/^(UND_ERR_|HPE_|ERR_SSL_|ERR_TLS_|EPROTO$)/.test(code) && code !== 'UND_ERR_INVALID_ARG')
  );
}

/** `node:tls` gives OpenSSL's verification results and its own name checks as codes. */
function isCertificateCode(code: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH|ERR_TLS_CERT/.test(code);
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
