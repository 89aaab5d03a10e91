/** A manifest or index by its name: out of the store, else out of its registry; and the documents that an index leads to. */
import { TsbuildError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type Digest, isDigest } from '../../oci/digest.ts';
import { isIndexType, isManifestType, MANIFEST_BYTES_MAX, type ManifestDocument, parseManifestDocument } from '../../oci/parse-manifest.ts';
import { parseReference, type Reference } from '../../oci/reference.ts';
import type { Session } from '../../session.ts';
import { reachableFrom } from '../../store/descriptor-children.ts';

export interface FoundDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly document: ManifestDocument;
  readonly from: 'store' | 'registry';
  /** Whose repository has it, or would have what the store lacks. */
  readonly reference: Reference;
}

/** Throws IMAGE_NOT_FOUND and the registry's errors. */
export async function findDocument(session: Session, name: string, first: 'store' | 'registry'): Promise<FoundDocument> {
  if (isDigest(name)) {
    const named = findByDigest(session, name);
    if (named !== undefined) return await storedDocument(session, named.descriptor, parseReference(named.name));
  }
  const stored = first === 'store' || isDigest(name) ? session.store.images.resolve(name) : undefined;
  if (stored !== undefined) return await storedDocument(session, stored.descriptor, parseReference(stored.name));
  if (isDigest(name)) {
    throw new TsbuildError('IMAGE_NOT_FOUND', `Cannot find ${name}: not in the store ${session.store.root}`, {
      hint: 'A digest alone is looked for in the store; of a registry, write repository@digest.',
    });
  }
  const reference = parseReference(name);
  return { ...(await session.registry.document(reference)), from: 'registry', reference };
}

/** The very document, and not the image that it is a part of. */
function findByDigest({ store }: Session, digest: Digest): { readonly name: string; readonly descriptor: Descriptor } | undefined {
  for (const { name, descriptor: root } of store.images.list()) {
    const found = reachableFrom(store.content, [root]).find((each) => each.digest === digest);
    if (found !== undefined && (isManifestType(found.mediaType) || isIndexType(found.mediaType)) && store.content.has(digest)) {
      return { name, descriptor: found };
    }
  }
  return undefined;
}

/** One that an index names. Throws as above, and DIGEST_MISMATCH or IMAGE_INVALID where it is not what the index says. */
export async function childDocument(session: Session, index: Pick<FoundDocument, 'reference'>, child: Descriptor): Promise<FoundDocument> {
  const { registry, repository } = index.reference;
  const reference = { registry, repository, digest: child.digest };
  if (session.store.content.has(child.digest)) return await storedDocument(session, child, reference);
  const found = await session.registry.document(reference);
  const { size, mediaType } = found.descriptor;
  if (size !== child.size) {
    throw new TsbuildError('DIGEST_MISMATCH', `Cannot use manifest ${child.digest}: expected ${child.size} bytes, found ${size}`);
  }
  if (mediaType !== child.mediaType) {
    throw new TsbuildError('IMAGE_INVALID', `Cannot use manifest ${child.digest}: its index says ${child.mediaType}, it ${mediaType}`);
  }
  return { ...found, from: 'registry', reference };
}

async function storedDocument(session: Session, descriptor: Descriptor, reference: Reference): Promise<FoundDocument> {
  const { mediaType, digest, size } = descriptor;
  const bytes = await session.store.content.read(digest, { maxBytes: MANIFEST_BYTES_MAX });
  const document = parseManifestDocument(bytes, mediaType, `manifest ${digest}`);
  return { descriptor: { mediaType, digest, size }, bytes, document, from: 'store', reference };
}
