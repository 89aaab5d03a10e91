/** What is signed: a digest and a name. Source: cosign's signature specification, "Simple Signing"; containers-signature(5). */
import { canonicalJson } from '../../oci/canonical-json.ts';
import { parseDigest } from '../../oci/digest.ts';
import { fieldsOf, invalid, requiredString } from '../../oci/json-fields.ts';
import type { Reference } from '../../oci/reference.ts';
import { type JsonValue, parseStrictJson } from '../../oci/strict-json.ts';

export const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';
/** Of the layer that has the payload, in base64. */
export const SIGNATURE_ANNOTATION = 'dev.cosignproject.cosign/signature';
/** More than any payload has. */
export const PAYLOAD_BYTES_MAX = 1 << 20;

const TYPE = 'cosign container image signature';

export interface SignedPayload {
  /** Who says that it is of this name; anybody can copy an image to another name, its signatures too. */
  readonly reference: string;
  readonly digest: string;
  readonly optional: JsonValue;
}

export function payloadBytes({ registry, repository }: Reference, digest: string): Buffer {
  const identity = { 'docker-reference': `${registry}/${repository}` };
  return canonicalJson({ critical: { identity, image: { 'docker-manifest-digest': digest }, type: TYPE }, optional: null });
}

/** Throws IMAGE_INVALID for what is no such payload. */
export function parsePayload(bytes: Buffer, subject: string): SignedPayload {
  const fields = fieldsOf(parseStrictJson(bytes, subject), subject, ['critical', 'optional']);
  const critical = fieldsOf(fields.object['critical'], subject, ['identity', 'image', 'type']);
  if (requiredString(critical, 'type') !== TYPE) invalid(subject, 'it is no signature of an image');
  const image = fieldsOf(critical.object['image'], subject, []);
  const identity = fieldsOf(critical.object['identity'], subject, []);
  return {
    reference: requiredString(identity, 'docker-reference'),
    digest: parseDigest(image.object['docker-manifest-digest']),
    optional: fields.object['optional'] ?? null,
  };
}

/** The tag under which the signatures of a digest are: `sha256-HEX.sig`. */
export function signatureTag(digest: string): string {
  return `${digest.replace(':', '-')}.sig`;
}
