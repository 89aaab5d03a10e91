/** `attestations`: what is told of an image, out of the store, or where that lacks it, its registry. */
import { type AttestedImage, type ReadBlob, readAttestations } from '../attestations/read-attestations.ts';
import { TsbuildError } from '../errors.ts';
import type { ImageIndex } from '../oci/manifest.ts';
import { MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import { parsePlatform } from '../oci/platform.ts';
import { parseReference, type Reference } from '../oci/reference.ts';
import { type CommonOptions, openSession, type Session } from '../session.ts';

/** Of all its platforms. Throws ATTESTATION_NOT_FOUND, IMAGE_NOT_FOUND, IMAGE_INVALID and the registry's errors. */
export async function listAttestations(
  options: CommonOptions & { readonly name: string; readonly platform?: string | undefined },
): Promise<AttestedImage[]> {
  await using session = await openSession(options);
  const stored = session.store.images.resolve(options.name);
  const reference = parseReference(stored?.name ?? options.name);
  const platform = options.platform === undefined ? session.platform : parsePlatform(options.platform);
  const bytes =
    stored === undefined
      ? (await session.registry.resolve(reference, platform)).indexes[0]?.bytes
      : await session.store.content.read(stored.descriptor.digest, { maxBytes: MANIFEST_BYTES_MAX });
  const index = bytes === undefined ? undefined : indexOf(bytes, options.name);
  const images = index === undefined ? [] : await readAttestations(index, readerOf(session, reference));
  if (images.length > 0) return images;
  throw new TsbuildError('ATTESTATION_NOT_FOUND', `Cannot find attestations of ${options.name}: none lies beside it`, {
    hint: 'Build it with --provenance or --sbom.',
  });
}

function indexOf(bytes: Buffer, name: string): ImageIndex | undefined {
  const document = parseManifestDocument(bytes, undefined, `image ${name}`);
  return document.kind === 'index' ? document.index : undefined;
}

function readerOf({ store, registry, platform }: Session, { registry: host, repository }: Reference): ReadBlob {
  return async (kind, descriptor) => {
    if (store.content.size(descriptor.digest) === descriptor.size) return await store.content.read(descriptor.digest);
    const reference: Reference = { registry: host, repository, digest: descriptor.digest };
    if (kind === 'manifest') return (await registry.resolve(reference, platform)).manifestBytes;
    return await whole(registry.fetchBlob(reference, descriptor));
  };
}

/** At most as much as the descriptor says: the client sees to that, and to the digest. */
async function whole(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}
