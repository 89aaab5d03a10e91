/** Digests: `algorithm:hex` of exact bytes. Source: OCI image-spec descriptor.md "Digests". */
import { createHash } from 'node:crypto';
import { TsbuildError } from '../errors.ts';

export type Digest = `sha256:${string}`;

const SHA256 = /^sha256:[a-f0-9]{64}$/;

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && SHA256.test(text);
}

/** Throws IMAGE_INVALID unless `text` is a sha256 digest; call it before a foreign digest becomes part of a path or URL. */
export function parseDigest(text: unknown): Digest {
  if (isDigest(text)) return text;
  throw new TsbuildError(
    'IMAGE_INVALID',
    `Cannot use ${JSON.stringify(text)?.slice(0, 100)} as a digest: not sha256:<64 lower-case hex digits>`,
  );
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The part after `sha256:`. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
