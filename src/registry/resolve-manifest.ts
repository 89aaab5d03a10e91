/** A reference → the manifest of one platform, verified. Source: distribution-spec "Pulling manifests". */
import { createHash } from 'node:crypto';
import { TsbuildError } from '../errors.ts';
import { chooseManifest } from '../oci/choose-manifest.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import { digestOf } from '../oci/digest.ts';
import { invalid } from '../oci/json-fields.ts';
import type { Manifest } from '../oci/manifest.ts';
import { IS_SCHEMA_1, MANIFEST_BYTES_MAX, type ManifestDocument, parseManifestDocument } from '../oci/parse-manifest.ts';
import type { Platform } from '../oci/platform.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import { pullScope, repositoryPath } from './repository.ts';
import type { RegistryRequest, Requester } from './requester.ts';
import type { HttpResponse } from './transport.ts';

export interface ResolvedManifest {
  readonly manifest: Manifest;
  /** Exactly as the registry sent them: `descriptor.digest` is theirs. */
  readonly manifestBytes: Buffer;
  readonly descriptor: Descriptor;
  /** The indexes that led to it, the one that the reference names first. */
  readonly indexes: readonly { readonly descriptor: Descriptor; readonly bytes: Buffer }[];
  /** The host of the mirror that said so; undefined: the registry itself. */
  readonly mirror?: string | undefined;
}

/** A document of a registry, verified. */
export interface FetchedDocument {
  readonly descriptor: Descriptor;
  /** Exactly as the registry sent them. */
  readonly bytes: Buffer;
  readonly document: ManifestDocument;
}

/** What is known of a document before it is fetched. */
type Expected = Pick<Descriptor, 'digest'> & Partial<Descriptor>;

/** All that is asked for, the newer first. */
const ACCEPTED_TYPES = [MEDIA_TYPE.index, MEDIA_TYPE.manifest, MEDIA_TYPE.dockerManifestList, MEDIA_TYPE.dockerManifest];
const DEADLINE_MS = 60_000;
const SCHEMA_1_TYPE = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(prettyjws|json)$/;
/** An index may list indexes; nobody nests deeper. */
const NESTING_MAX = 3;

/** Throws REGISTRY_*, DIGEST_MISMATCH, IMAGE_INVALID, PLATFORM_NOT_FOUND. */
export async function resolveManifest(requester: Requester, reference: Reference, platform: Platform): Promise<ResolvedManifest> {
  const subject = formatReference(reference);
  let expected: Expected | undefined = reference.digest === undefined ? undefined : { digest: reference.digest };
  const indexes: ResolvedManifest['indexes'][number][] = [];
  for (let depth = 0; depth <= NESTING_MAX; depth += 1) {
    const { bytes, document } = await fetchManifest(requester, reference, expected);
    if (document.kind === 'manifest') {
      const { mediaType } = document.manifest;
      const descriptor = {
        mediaType,
        digest: digestOf(bytes),
        size: bytes.length,
        ...(expected?.platform === undefined ? {} : { platform: expected.platform }),
      };
      return { manifest: document.manifest, manifestBytes: bytes, descriptor, indexes };
    }
    indexes.push({ descriptor: { mediaType: document.index.mediaType, digest: digestOf(bytes), size: bytes.length }, bytes });
    expected = chooseManifest(document.index, platform, subject);
  }
  throw new TsbuildError('IMAGE_INVALID', `Cannot use ${subject}: its indexes are nested more than ${NESTING_MAX} deep`);
}

/** A manifest or index as it is, whatever its platforms. Throws REGISTRY_*, DIGEST_MISMATCH, IMAGE_INVALID. */
export async function fetchDocument(requester: Requester, reference: Reference): Promise<FetchedDocument> {
  const expected = reference.digest === undefined ? undefined : { digest: reference.digest };
  const { bytes, document } = await fetchManifest(requester, reference, expected);
  const { mediaType } = document.kind === 'index' ? document.index : document.manifest;
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes, document };
}

async function fetchManifest(
  requester: Requester,
  reference: Reference,
  expected: Expected | undefined,
): Promise<{ bytes: Buffer; document: ManifestDocument }> {
  const subject = formatReference(reference);
  const request: RegistryRequest = {
    method: 'GET',
    registry: reference.registry,
    target: `${repositoryPath(reference)}/manifests/${expected?.digest ?? reference.tag ?? 'latest'}`,
    headers: { accept: ACCEPTED_TYPES.join(', ') },
    scopes: [pullScope(reference.repository)],
    accept: [200],
    action: `pull ${subject}`,
  };
  const { response, bytes } = await requester.read(request, { maxBytes: MANIFEST_BYTES_MAX, deadlineMs: DEADLINE_MS });
  // Its digest is of what was signed, and not of these bytes.
  if (SCHEMA_1_TYPE.test(contentType(response) ?? '')) invalid(`the manifest of ${subject}`, IS_SCHEMA_1);
  checkDigest(bytes, expected, subject);
  checkDigestHeader(bytes, response, subject);
  const document = parseManifestDocument(bytes, contentType(response), `the manifest of ${subject}`);
  const mediaType = document.kind === 'index' ? document.index.mediaType : document.manifest.mediaType;
  if (expected?.mediaType !== undefined && expected.mediaType !== mediaType) {
    throw new TsbuildError('IMAGE_INVALID', `Cannot use ${subject}: its index says ${expected.mediaType}, the manifest ${mediaType}`);
  }
  return { bytes, document };
}

/** The header must agree with the document: one digest, two readings (CVE-2021-41190). */
function contentType(response: HttpResponse): string | undefined {
  return response.header('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
}

function checkDigest(bytes: Buffer, expected: Expected | undefined, subject: string): void {
  if (expected === undefined) return;
  if (expected.size !== undefined && expected.size !== bytes.length)
    throw mismatch(subject, `${expected.size} bytes`, `${bytes.length} bytes`);
  const found = digestOf(bytes);
  if (found !== expected.digest) throw mismatch(subject, expected.digest, found);
}

/** A registry that says a digest must say the right one. */
function checkDigestHeader(bytes: Buffer, response: HttpResponse, subject: string): void {
  const said = response.header('docker-content-digest');
  if (said === undefined) return;
  const [, algorithm, hex] = /^(sha256|sha512):([a-f0-9]+)$/.exec(said) ?? [];
  const found = algorithm === undefined ? digestOf(bytes) : `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
  if (algorithm === undefined || hex === undefined || found !== said) throw mismatch(subject, JSON.stringify(said.slice(0, 150)), found);
}

function mismatch(subject: string, expected: string, found: string): TsbuildError {
  return new TsbuildError('DIGEST_MISMATCH', `Cannot accept the manifest of ${subject}: expected ${expected}, found ${found}`);
}
