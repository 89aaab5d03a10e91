/** Documents of a registry → the store, with where their blobs are; the blobs stay there. */
import { fetchBlob } from '../../images/pull-image.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { invalid } from '../../oci/json-fields.ts';
import type { Manifest } from '../../oci/manifest.ts';
import { CONFIG_BYTES_MAX } from '../../oci/parse-config.ts';
import { isConfigType } from '../../oci/parse-manifest.ts';
import type { Session } from '../../session.ts';
import { childDocument, type FoundDocument } from './find-document.ts';

/** Puts the document into the store, with its config if it is an image. */
export async function keepDocument(session: Session, found: FoundDocument): Promise<void> {
  await session.store.content.put(found.bytes);
  if (found.document.kind === 'index') return;
  const { manifest } = found.document;
  if (found.from === 'registry') await keepOrigins(session, found, manifest);
  if (isConfigType(manifest.config.mediaType)) await keepConfig(session, found, manifest.config);
}

/** As `keepDocument`, and all that an index leads to. */
export async function keepDocuments(session: Session, found: FoundDocument): Promise<void> {
  const kept = new Set<Digest>();
  const keep = async (each: FoundDocument): Promise<void> => {
    if (kept.has(each.descriptor.digest)) return;
    kept.add(each.descriptor.digest);
    await keepDocument(session, each);
    if (each.document.kind !== 'index') return;
    for (const child of each.document.index.manifests) await keep(await childDocument(session, found, child));
  };
  await keep(found);
}

/** What the store lacks of the manifest is where it came from: a push mounts it from there, or passes it on. */
async function keepOrigins({ store }: Session, { reference }: FoundDocument, { config, layers }: Manifest): Promise<void> {
  const { registry, repository } = reference;
  for (const { digest } of [config, ...layers]) await store.origins.add(digest, { registry, repository });
}

async function keepConfig(session: Session, { reference }: FoundDocument, config: Descriptor): Promise<void> {
  if (config.size > CONFIG_BYTES_MAX) invalid(`config ${config.digest}`, `it is larger than ${CONFIG_BYTES_MAX} bytes`);
  if (session.store.content.size(config.digest) !== config.size) await fetchBlob(session, reference, config);
}
