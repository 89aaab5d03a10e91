/** Signatures of an image in its repository: one manifest under a tag that its digest makes, a layer for each. Source: cosign's signature specification, "Storage". */
import { TsbuildError } from '../../errors.ts';
import { canonicalJson } from '../../oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../../oci/descriptor.ts';
import { type Digest, digestOf } from '../../oci/digest.ts';
import type { Manifest } from '../../oci/manifest.ts';
import { formatReference, type Reference } from '../../oci/reference.ts';
import type { RegistryClient } from '../../registry/registry-client.ts';
import { ifThere } from '../../registry/registry-error.ts';
import type { SigningKey, VerifyingKey } from './signing-key.ts';
import {
  PAYLOAD_BYTES_MAX,
  parsePayload,
  payloadBytes,
  SIGNATURE_ANNOTATION,
  SIMPLE_SIGNING,
  type SignedPayload,
  signatureTag,
} from './simple-signing.ts';

export type SignatureRegistry = Pick<RegistryClient, 'resolve' | 'fetchBlob' | 'pushBlob' | 'pushManifest'>;

/** What is signed: a digest in a repository. */
export type SignedImage = Reference & { readonly digest: Digest };

/** Most signatures that are looked at. */
const SIGNATURES_MAX = 200;
/** No manifest of signatures is of a platform. */
const ANY_PLATFORM = { os: 'linux', architecture: 'amd64' };

/** Each digest once, those of an index and of what it lists. `exists`: all of them had a signature of the key. */
export async function signImages(
  registry: SignatureRegistry,
  repository: Pick<Reference, 'registry' | 'repository'>,
  { digests, key }: { readonly digests: readonly Digest[]; readonly key: SigningKey },
): Promise<'signed' | 'exists'> {
  let outcome: 'signed' | 'exists' = 'exists';
  for (const digest of new Set(digests)) if ((await signImage(registry, { ...repository, digest }, key)) === 'signed') outcome = 'signed';
  return outcome;
}

/** Adds a signature to those that are there; one of the same key over the same payload stays the only one. Who signs at the same time may be lost. */
async function signImage(registry: SignatureRegistry, image: SignedImage, key: SigningKey): Promise<'signed' | 'exists'> {
  const target = signaturesOf(image);
  const payload = payloadBytes(image, image.digest);
  const before = await findManifest(registry, target);
  const layers = before?.layers ?? [];
  const descriptor = { mediaType: SIMPLE_SIGNING, digest: digestOf(payload), size: payload.length };
  const own = layers.filter((layer) => layer.digest === descriptor.digest).map(signatureOf);
  if (own.some((signature) => signature !== undefined && key.verifies(payload, signature))) return 'exists';
  const annotations = { [SIGNATURE_ANNOTATION]: key.sign(payload).toString('base64') };
  await pushBytes(registry, target, { descriptor, bytes: payload });
  await pushManifest(registry, target, { layers: [...layers, { ...descriptor, annotations }], annotations: before?.annotations });
  return 'signed';
}

/** Payloads that the key signed for this digest. Throws SIGNATURE_NOT_FOUND, and SIGNATURE_INVALID where none is the key's. */
export async function verifyImage(registry: SignatureRegistry, image: SignedImage, key: VerifyingKey): Promise<SignedPayload[]> {
  const target = signaturesOf(image);
  const manifest = await findManifest(registry, target);
  const layers = (manifest?.layers ?? []).filter(({ mediaType }) => mediaType === SIMPLE_SIGNING);
  const name = formatReference(image);
  if (layers.length === 0) {
    throw new TsbuildError('SIGNATURE_NOT_FOUND', `Cannot verify ${name}: it has no signature`, {
      hint: 'Sign it: tsbuild sign NAME --key FILE.',
    });
  }
  const payloads: SignedPayload[] = [];
  for (const layer of layers.slice(0, SIGNATURES_MAX)) {
    const payload = await verified(registry, target, { layer, key });
    if (payload?.digest === image.digest) payloads.push(payload);
  }
  if (payloads.length > 0) return payloads;
  const count = layers.length === 1 ? 'its signature is' : `none of its ${layers.length} signatures is`;
  throw new TsbuildError(
    'SIGNATURE_INVALID',
    `Cannot verify ${name}: ${count} ${layers.length === 1 ? 'not ' : ''}of this key and for this image`,
    {
      hint: 'Do not use the image unless you know why.',
    },
  );
}

function signaturesOf({ registry, repository, digest }: SignedImage): Reference {
  return { registry, repository, tag: signatureTag(digest) };
}

/** undefined for what the key did not sign. Anybody may have put it there: what cannot be read counts as that. */
async function verified(
  registry: SignatureRegistry,
  target: Reference,
  { layer, key }: { readonly layer: Descriptor; readonly key: VerifyingKey },
): Promise<SignedPayload | undefined> {
  const signature = signatureOf(layer);
  if (signature === undefined || layer.size > PAYLOAD_BYTES_MAX) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of registry.fetchBlob(target, layer)) chunks.push(chunk);
  const payload = Buffer.concat(chunks);
  // Only what is signed is read at all.
  if (!key.verifies(payload, signature)) return undefined;
  try {
    return parsePayload(payload, `the payload of ${formatReference(target)}`);
  } catch (error) {
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_IMAGE_INVALID') return undefined;
    throw error;
  }
}

function signatureOf({ annotations }: Descriptor): Buffer | undefined {
  const text = annotations?.[SIGNATURE_ANNOTATION];
  return text !== undefined && text.length <= 8192 && /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}

async function findManifest(registry: SignatureRegistry, target: Reference): Promise<Manifest | undefined> {
  return (await ifThere(() => registry.resolve(target, ANY_PLATFORM)))?.manifest;
}

async function pushManifest(
  registry: SignatureRegistry,
  target: Reference,
  { layers, annotations }: Pick<Manifest, 'layers'> & { readonly annotations: Manifest['annotations'] | undefined },
): Promise<void> {
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  const bytes = canonicalJson({ architecture: '', os: '', config: {}, rootfs });
  const config = { mediaType: MEDIA_TYPE.config, digest: digestOf(bytes), size: bytes.length };
  await pushBytes(registry, target, { descriptor: config, bytes });
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config,
    layers,
    ...(annotations === undefined ? {} : { annotations }),
  };
  await registry.pushManifest(target, canonicalJson(manifest), MEDIA_TYPE.manifest);
}

async function pushBytes(
  registry: SignatureRegistry,
  target: Reference,
  blob: { readonly descriptor: Descriptor; readonly bytes: Buffer },
): Promise<void> {
  await registry.pushBlob(
    target,
    blob.descriptor,
    async function* () {
      yield blob.bytes;
    },
    [],
  );
}
