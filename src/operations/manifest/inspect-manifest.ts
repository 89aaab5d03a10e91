/** `manifest inspect`: what a name leads to, in the store or in its registry. */
import { forEachLimited } from '../../images/for-each-limited.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { ImageIndex, Manifest } from '../../oci/manifest.ts';
import { normalizePlatform, type Platform } from '../../oci/platform.ts';
import { familiarName, parseReference } from '../../oci/reference.ts';
import type { Referrers } from '../../registry/referrers.ts';
import { type CommonOptions, openSession, type Session } from '../../session.ts';
import { childDocument, type FoundDocument, findDocument } from './find-document.ts';
import { flattenSource } from './flatten-source.ts';

export interface InspectManifestOptions extends CommonOptions {
  readonly name: string;
  /** Asks the registry whatever the store has. */
  readonly remote?: boolean | undefined;
  /** Lists what refers to it in its registry, too. */
  readonly referrers?: boolean | undefined;
  /** Only referrers of this type. */
  readonly artifactType?: string | undefined;
  /** Only the document: nothing of what it leads to is asked for. */
  readonly raw?: boolean | undefined;
}

export interface ManifestEntry {
  readonly descriptor: Descriptor;
  readonly platform: Platform | undefined;
  /** Of all its blobs and itself; undefined where its manifest was not looked at. */
  readonly totalSize: number | undefined;
}

export interface ManifestDetails {
  /** As people write it. */
  readonly name: string;
  readonly from: 'store' | 'registry';
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly manifest?: Manifest;
  readonly index?: ImageIndex;
  /** What is in the index, in its order; for a manifest, itself. */
  readonly entries: readonly ManifestEntry[];
  readonly referrers?: Referrers | undefined;
}

/** Manifests of an index that are looked at for their sizes. */
const LOOKED_AT_MAX = 64;
const PARALLEL = 4;

/** Throws IMAGE_NOT_FOUND and the registry's errors. */
export async function inspectManifest(options: InspectManifestOptions): Promise<ManifestDetails> {
  await using session = await openSession(options);
  const found = await findDocument(session, options.name, options.remote === true ? 'registry' : 'store');
  const { descriptor, bytes, document, from, reference } = found;
  const details = {
    ...{ name: familiarName(from === 'registry' ? parseReference(options.name) : reference), from, descriptor, bytes },
    ...(document.kind === 'index' ? { index: document.index } : { manifest: document.manifest }),
  };
  if (options.raw === true) return { ...details, entries: [] };
  return { ...details, entries: await entriesOf(session, found), referrers: await referrersOf(session, found, options) };
}

async function entriesOf(session: Session, found: FoundDocument): Promise<ManifestEntry[]> {
  const { document, descriptor } = found;
  if (document.kind === 'manifest') {
    const [part] = await flattenSource(session, found);
    return [{ descriptor, platform: part?.platform, totalSize: sizeOf(descriptor, document.manifest) }];
  }
  const sizes = new Map<Digest, number>();
  // What the store has is told without asking anybody.
  const near = document.index.manifests.filter(({ digest }) => found.from === 'registry' || session.store.content.has(digest));
  const children = new Map(near.map((child) => [child.digest, child]));
  await forEachLimited([...children.values()].slice(0, LOOKED_AT_MAX), { limit: PARALLEL, signal: session.signal }, async (child) => {
    const inside = await childDocument(session, found, child);
    if (inside.document.kind === 'manifest') sizes.set(child.digest, sizeOf(child, inside.document.manifest));
  });
  return document.index.manifests.map((child) => ({
    descriptor: child,
    platform: child.platform === undefined ? undefined : normalizePlatform(child.platform),
    totalSize: sizes.get(child.digest),
  }));
}

function sizeOf({ size }: Descriptor, { config, layers }: Manifest): number {
  const once = new Map([config, ...layers].map((blob) => [blob.digest, blob.size]));
  return [...once.values()].reduce((sum, each) => sum + each, size);
}

async function referrersOf(session: Session, found: FoundDocument, options: InspectManifestOptions): Promise<Referrers | undefined> {
  if (options.referrers !== true) return undefined;
  const { digest: subject } = found.descriptor;
  return await session.registry.referrers(found.reference, { subject, artifactType: options.artifactType });
}
