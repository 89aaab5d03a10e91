/** How TLS failed, in the user's words: what is wrong with whose certificate, or with the handshake, and what to do. */

export interface Explanation {
  readonly reason: string;
  readonly hint: string | undefined;
}

const TRUST_HINT =
  'Put the certificate of the authority into NODE_EXTRA_CA_CERTS or /etc/docker/certs.d/<host>/ca.crt; certificate checks cannot be turned off.';
const RENEW_HINT = 'The registry needs another certificate, or this machine another clock; certificate checks cannot be turned off.';
const IDENTITY_HINT = 'Client certificates are /etc/docker/certs.d/<host>/client.cert and client.key, or cert and key in registries.json.';
const PLAIN_HINT = 'If the registry speaks plain HTTP on purpose, say insecure of it in registries.json.';

/** OpenSSL's verdicts on the server's certificate, and `node:tls`'s on its names. */
const CERTIFICATE_REASONS: ReadonlyMap<string, string> = new Map([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'is not trusted: it is signed by itself alone'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'is not trusted: its authority is none that is known here'],
  [
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'is not trusted: its authority is none that is known here, or the server leaves out an intermediate certificate',
  ],
  [
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'is not trusted: its authority is none that is known here, or the server leaves out an intermediate certificate',
  ],
  ['CERT_HAS_EXPIRED', 'has expired'],
  ['CERT_NOT_YET_VALID', 'is not valid yet'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'is for other names'],
  ['CERT_REVOKED', 'is revoked'],
  ['INVALID_PURPOSE', 'is not for servers'],
  ['INVALID_CA', 'is signed by what is no authority'],
]);

/** What OpenSSL says of the handshake → [reason, hint]. */
const HANDSHAKE_REASONS: readonly (readonly [RegExp, string, string])[] = [
  [
    /UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|WRONG_SSL_VERSION|NO_PROTOCOLS/,
    'it speaks no TLS of version 1.2 or newer',
    'Older versions are not secure; the registry has to offer a newer one.',
  ],
  [
    /NO_APPLICATION_PROTOCOL/,
    'it speaks no HTTP/1.1',
    'The registry, or what stands before it, speaks HTTP/2 alone; registries are spoken to in HTTP/1.1.',
  ],
  [/CERTIFICATE_REQUIRED|ALERT_HANDSHAKE_FAILURE/, 'it ended the handshake: it may want a client certificate', IDENTITY_HINT],
  [
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|CERTIFICATE_REVOKED|UNSUPPORTED_CERTIFICATE|ACCESS_DENIED|DECRYPT_ERROR)/,
    'it refuses our client certificate',
    IDENTITY_HINT,
  ],
  [/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|^EPROTO$/, 'it does not speak TLS', PLAIN_HINT],
];

/** By the code of OpenSSL or of `node:tls`; undefined where it is about something else. */
export function explainTls(code: string): Explanation | undefined {
  if (code === 'CLIENT_CERTIFICATE_MISSING') {
    return { reason: 'it wants a client certificate, and there is none for it', hint: IDENTITY_HINT };
  }
  if (isCertificateCode(code)) {
    const reason = CERTIFICATE_REASONS.get(code) ?? 'is not trusted';
    return { reason: `its certificate ${reason} (${code})`, hint: reason.startsWith('is not trusted') ? TRUST_HINT : RENEW_HINT };
  }
  const handshake = HANDSHAKE_REASONS.find(([pattern]) => pattern.test(code));
  return handshake === undefined ? undefined : { reason: `${handshake[1]} (${code})`, hint: handshake[2] };
}

/** `node:tls` gives OpenSSL's verification results and its own name checks as codes; alerts of the other side are none of them. */
function isCertificateCode(code: string): boolean {
  return (
    CERTIFICATE_REASONS.has(code) ||
    (!code.startsWith('ERR_SSL_') && /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|HOSTNAME_MISMATCH/.test(code))
  );
}
