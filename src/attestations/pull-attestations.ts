/** What lies beside an image in its index comes along with a pull: so what is pushed again is the same index, where it has no other platform. */
import { fetchBlob, type PullSession } from '../images/pull-image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isIndexType, MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import type { Reference } from '../oci/reference.ts';
import { ifThere } from '../registry/registry-error.ts';
import { NO_PLATFORM, STATEMENT_BYTES_MAX } from './attestation-manifest.ts';
import { isAbout, STATEMENTS_MAX } from './read-attestations.ts';

/** `root`: what the reference names, in the store. What the registry lacks (copies are made without them), or is too much, is left out. */
export async function pullAttestations(
  session: PullSession,
  reference: Reference,
  { root, image }: { readonly root: Descriptor; readonly image: Descriptor },
): Promise<void> {
  if (!isIndexType(root.mediaType)) return;
  const bytes = await session.store.content.read(root.digest, { maxBytes: MANIFEST_BYTES_MAX });
  const document = parseManifestDocument(bytes, root.mediaType, `index ${root.digest}`);
  const manifests = document.kind === 'index' ? document.index.manifests.filter((each) => isAbout(each, image)) : [];
  for (const manifest of manifests) {
    session.signal.throwIfAborted();
    await pullManifest(session, reference, manifest);
  }
}

async function pullManifest(session: PullSession, { registry, repository }: Reference, descriptor: Descriptor): Promise<void> {
  const place: Reference = { registry, repository, digest: descriptor.digest };
  const found = await ifThere(() => session.registry.resolve(place, NO_PLATFORM));
  if (found === undefined || found.indexes.length > 0 || found.descriptor.mediaType !== descriptor.mediaType) return;
  const blobs = [...found.manifest.layers, found.manifest.config];
  if (blobs.length > STATEMENTS_MAX + 1 || blobs.some(({ size }) => size > STATEMENT_BYTES_MAX)) return;
  for (const blob of blobs) {
    const fetched = await ifThere(async () => ({ done: await fetchBlob(session, place, blob) }));
    if (fetched === undefined) return;
  }
  // What names comes after what is named.
  await session.store.content.put(found.manifestBytes);
}
