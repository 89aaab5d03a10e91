/** The statements that an index holds about its images, read with distrust: an index is a stranger's. Source: BuildKit's "Image Attestation Storage". */
import { type Descriptor, REFERENCE_DIGEST, REFERENCE_TYPE } from '../oci/descriptor.ts';
import { invalid } from '../oci/json-fields.ts';
import type { ImageIndex } from '../oci/manifest.ts';
import { isManifestType, MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import { formatPlatform } from '../oci/platform.ts';
import { type JsonObject, type JsonValue, parseStrictJson } from '../oci/strict-json.ts';
import { ATTESTATION_MANIFEST, PREDICATE_ANNOTATION, STATEMENT_BYTES_MAX } from './attestation-manifest.ts';
import { STATEMENT_MEDIA_TYPE } from './statement.ts';

export interface AttestedImage {
  /** Of the image, such as `linux/amd64`. */
  readonly platform: string;
  /** Of the image's manifest. */
  readonly digest: string;
  readonly statements: readonly Statement[];
}

export interface Statement {
  readonly predicateType: string;
  readonly subject: JsonValue;
  readonly predicate: JsonValue;
}

/** The bytes of a manifest or a layer, verified, at most `descriptor.size` of them. */
export type ReadBlob = (kind: 'manifest' | 'blob', descriptor: Descriptor) => Promise<Buffer>;

/** Most statements of one image. */
export const STATEMENTS_MAX = 64;

/** In the order of the index; images without attestations are left out. Throws IMAGE_INVALID for what is not about its image. */
export async function readAttestations(index: ImageIndex, read: ReadBlob): Promise<AttestedImage[]> {
  const images: AttestedImage[] = [];
  for (const image of index.manifests) {
    const statements: Statement[] = [];
    for (const manifest of index.manifests.filter((each) => isAbout(each, image)))
      statements.push(...(await statementsOf(manifest, image, read)));
    if (statements.length === 0) continue;
    const platform = image.platform === undefined ? 'unnamed' : formatPlatform(image.platform);
    images.push({ platform, digest: image.digest, statements });
  }
  return images;
}

export function isAttestationManifest({ mediaType, annotations }: Descriptor): boolean {
  return isManifestType(mediaType) && annotations?.[REFERENCE_TYPE] === ATTESTATION_MANIFEST;
}

export function isAbout(manifest: Descriptor, image: Pick<Descriptor, 'digest'>): boolean {
  return isAttestationManifest(manifest) && manifest.annotations?.[REFERENCE_DIGEST] === image.digest;
}

async function statementsOf(descriptor: Descriptor, image: Descriptor, read: ReadBlob): Promise<Statement[]> {
  const subject = `attestation manifest ${descriptor.digest}`;
  if (descriptor.size > MANIFEST_BYTES_MAX) invalid(subject, `it is larger than ${MANIFEST_BYTES_MAX} bytes`);
  const document = parseManifestDocument(await read('manifest', descriptor), descriptor.mediaType, subject);
  if (document.kind !== 'manifest') return invalid(subject, 'it is an index');
  // Others may follow one day: the specification says to ignore them.
  const layers = document.manifest.layers.filter(({ mediaType }) => mediaType === STATEMENT_MEDIA_TYPE);
  if (layers.length > STATEMENTS_MAX) invalid(subject, `it has more than ${STATEMENTS_MAX} statements`);
  const statements: Statement[] = [];
  for (const layer of layers) {
    if (layer.size > STATEMENT_BYTES_MAX) invalid(`attestation ${layer.digest}`, `it is larger than ${STATEMENT_BYTES_MAX} bytes`);
    statements.push(parseStatement(await read('blob', layer), layer, image));
  }
  return statements;
}

function parseStatement(bytes: Buffer, layer: Descriptor, image: Descriptor): Statement {
  const name = `attestation ${layer.digest}`;
  const statement = objectOf(parseStrictJson(bytes, name), name);
  const { predicateType, subject = null, predicate = null } = statement;
  if (!String(statement['_type']).startsWith('https://in-toto.io/Statement/')) invalid(name, 'it is no in-toto statement');
  if (typeof predicateType !== 'string') return invalid(name, 'it has no predicateType');
  const said = layer.annotations?.[PREDICATE_ANNOTATION];
  if (said !== undefined && said !== predicateType) invalid(name, 'its manifest calls it something else');
  const subjects = Array.isArray(subject) ? subject.map((each: JsonValue) => objectOf(each, name)) : [];
  const digests = subjects.map(({ digest = null }) => objectOf(digest, name)['sha256']);
  if (!digests.includes(image.digest.slice('sha256:'.length))) invalid(name, `it is not about ${image.digest}, beside which it lies`);
  return { predicateType, subject, predicate };
}

function objectOf(value: JsonValue, name: string): JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as JsonObject)
    : invalid(name, 'it is no in-toto statement');
}
