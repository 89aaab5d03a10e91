/** Statements → a manifest that an index holds beside the image that they are about. Source: BuildKit's "Image Attestation Storage"; OCI image-spec manifest.md, "Guidelines for Artifact Usage". */
import { TsbuildError } from '../errors.ts';
import type { BlobSource } from '../images/image.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE, REFERENCE_DIGEST, REFERENCE_TYPE } from '../oci/descriptor.ts';
import type { Platform } from '../oci/platform.ts';
import { type Predicate, STATEMENT_MEDIA_TYPE, type Subject, statementBytes } from './statement.ts';

/** `image`: a config that says "unknown platform" and lists the statements, which every registry takes. `artifact`: image-spec 1.1, with a subject. */
export type AttestationForm = 'image' | 'artifact';

/** No platform has this name, so no runtime takes what says it. */
export const NO_PLATFORM: Platform = { os: 'unknown', architecture: 'unknown' };
export const PREDICATE_ANNOTATION = 'in-toto.io/predicate-type';
export const ATTESTATION_MANIFEST = 'attestation-manifest';
/** Of one statement. */
export const STATEMENT_BYTES_MAX = 40 << 20;

const ARTIFACT_TYPE = 'application/vnd.docker.attestation.manifest.v1+json';
const EMPTY = { mediaType: 'application/vnd.oci.empty.v1+json', bytes: Buffer.from('{}') };

/** Puts statements, config and manifest into the store, and returns the manifest as an index lists it. Throws EXPORT_FAILED. */
export async function putAttestations(
  store: BlobSource,
  image: Descriptor,
  what: { readonly predicates: readonly Predicate[]; readonly subjects: readonly Subject[]; readonly form: AttestationForm },
): Promise<Descriptor> {
  const layers: Descriptor[] = [];
  for (const predicate of what.predicates) layers.push(await putStatement(store, predicate, what.subjects));
  const isArtifact = what.form === 'artifact';
  const config = isArtifact ? await putEmpty(store) : await putConfig(store, layers);
  const { mediaType, digest, size } = image;
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    ...(isArtifact ? { artifactType: ARTIFACT_TYPE, subject: { mediaType, digest, size } } : {}),
    config,
    layers,
  };
  return {
    mediaType: MEDIA_TYPE.manifest,
    ...(await store.content.put(canonicalJson(manifest))),
    platform: NO_PLATFORM,
    annotations: { [REFERENCE_DIGEST]: digest, [REFERENCE_TYPE]: ATTESTATION_MANIFEST },
  };
}

async function putStatement({ content }: BlobSource, predicate: Predicate, subjects: readonly Subject[]): Promise<Descriptor> {
  const bytes = statementBytes(predicate, subjects);
  checkSize(predicate, bytes);
  return { mediaType: STATEMENT_MEDIA_TYPE, ...(await content.put(bytes)), annotations: { [PREDICATE_ANNOTATION]: predicate.type } };
}

/** More than readers take is no use to anybody. */
export function checkSize({ type }: Predicate, { length }: Buffer): void {
  if (length <= STATEMENT_BYTES_MAX) return;
  throw new TsbuildError('EXPORT_FAILED', `Cannot attest ${type}: it has ${length} bytes, and at most ${STATEMENT_BYTES_MAX} are read`, {
    hint: 'Leave it away, or make the image of fewer files.',
  });
}

async function putConfig({ content }: BlobSource, layers: readonly Descriptor[]): Promise<Descriptor> {
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  return { mediaType: MEDIA_TYPE.config, ...(await content.put(canonicalJson({ ...NO_PLATFORM, config: {}, rootfs }))) };
}

async function putEmpty({ content }: BlobSource): Promise<Descriptor & { readonly data: string }> {
  const { mediaType, bytes } = EMPTY;
  return { mediaType, ...(await content.put(bytes)), data: bytes.toString('base64') };
}
