/** The images that a FROM, a COPY --from or `tsbuild run` names: out of the store, or resolved and pulled into it. */
import { TsbuildError } from '../errors.ts';
import { findImage, type Image } from '../images/image.ts';
import { importLayout } from '../images/import-layout.ts';
import { fetchLayers, nameImage, type ResolvedImage, resolveImage } from '../images/pull-image.ts';
import type { Digest } from '../oci/digest.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import { formatReference, parseReference } from '../oci/reference.ts';
import type { Session } from '../session.ts';
import type { Snapshotter } from '../snapshots/snapshotter.ts';

/**
 * The images of one command. A name means one digest from the first question to the last, whatever its tag does
 * meanwhile, on every platform. An image that comes in one platform only is taken for what it is.
 */
export interface BaseImages {
  /** Manifest and config, no layers. Throws PLATFORM_NOT_FOUND and the registry's errors. */
  resolve(name: string, platform: Platform): Promise<Image>;
  /** The same image with its layers in the store; `use` says what for. */
  load(name: string, platform: Platform, use: BaseUse): Promise<Image>;
  /** What the name stood for: a manifest, or an index. */
  root(name: string, platform: Platform): Promise<Digest>;
}

/** `files`: layers that have to be fetched are unpacked while others are on their way. */
export type BaseUse = 'files' | 'layers';

interface Found {
  readonly image: Image;
  /** What the name stands for: a manifest, or an index. */
  readonly root: Digest;
  /** Sees to the layers; what came from a registry is named in the store then. */
  load(use: BaseUse): Promise<Image>;
}

/** What a named context puts in the place of an image's name. */
const LAYOUT = 'oci-layout://';

/** `first: 'store'` asks the registry only for what the store lacks. */
export function openBaseImages(session: Session, first: 'store' | 'registry'): BaseImages {
  const resolved = new Map<string, Promise<Found>>();
  const loaded = new Map<string, Promise<Image>>();
  const roots = new Map<string, Promise<Digest | undefined>>();
  const find = (name: string, platform: Platform): Promise<Found> =>
    once(resolved, `${formatPlatform(platform)} ${name}`, async () => {
      const before = roots.get(name);
      const finding =
        before === undefined ? findBase(session, { name, platform, first }) : findAgain(session, before, { name, platform, first });
      // Whoever comes next waits for the name's digest.
      const root = finding.then((found) => found.root);
      if (before === undefined)
        roots.set(
          name,
          root.catch(() => undefined),
        );
      return await finding;
    });
  return {
    resolve: async (name, platform) => (await find(name, platform)).image,
    root: async (name, platform) => (await find(name, platform)).root,
    load: (name, platform, use) =>
      once(loaded, `${formatPlatform(platform)} ${name}`, async () => await (await find(name, platform)).load(use)),
  };
}

function once<T>(running: Map<string, Promise<T>>, key: string, start: () => Promise<T>): Promise<T> {
  const promise = running.get(key) ?? start();
  running.set(key, promise);
  return promise;
}

interface Wanted {
  readonly name: string;
  readonly platform: Platform;
  readonly first: 'store' | 'registry';
  /** What the name stood for when another platform of it was asked for. */
  readonly known?: Digest | undefined;
}

async function findAgain(session: Session, root: Promise<Digest | undefined>, wanted: Wanted): Promise<Found> {
  return await findBase(session, { ...wanted, known: await root });
}

async function findBase(session: Session, { name, platform, known, first }: Wanted): Promise<Found> {
  if (name.startsWith(LAYOUT)) return whole(await importLayout(session, name.slice(LAYOUT.length), platform));
  const stored = first === 'store' ? session.store.images.resolve(name) : undefined;
  const image = stored && (await findImage(session.store, stored.descriptor, platform));
  const reference = parseReference(stored?.name ?? name);
  if (stored !== undefined && image !== undefined) {
    return { image, root: stored.descriptor.digest, load: async (use) => await loadStored(session, { image, reference }, use) };
  }
  // An index in the store may have been pulled for another platform: its registry has the rest of it.
  const digest = stored?.descriptor.digest ?? known;
  if (first === 'store') session.store.expectLarge();
  // By digest, where it is known, since a tag may move.
  const resolved = await resolveImage(session, digest === undefined ? reference : { ...reference, digest }, platform);
  const found = { ...resolved, reference };
  return { image: found.image, root: found.root.digest, load: async (use) => await nameImage(session, found, snapshotsFor(session, use)) };
}

function whole(image: Image): Found {
  return { image, root: image.descriptor.digest, load: async () => image };
}

/** A build that failed, or was for another platform, may have left the documents without the layers. */
async function loadStored(session: Session, found: Pick<ResolvedImage, 'image' | 'reference'>, use: BaseUse): Promise<Image> {
  const { image } = found;
  const { content } = session.store;
  const healths = await Promise.all(image.manifest.layers.map(async ({ digest }) => ({ digest, health: await content.health(digest) })));
  if (healths.every(({ health }) => health === 'sound')) return image;
  const damaged = healths.find(({ health }) => health === 'damaged')?.digest;
  try {
    await fetchLayers(session, found, snapshotsFor(session, use));
  } catch (cause) {
    throw damaged === undefined ? cause : cannotHeal(found, damaged, cause);
  }
  if (damaged !== undefined)
    session.emit({
      kind: 'warning',
      message: `The disk has changed layer ${damaged} of ${formatReference(found.reference)}: it was pulled again`,
    });
  return image;
}

function cannotHeal({ reference }: Pick<ResolvedImage, 'reference'>, damaged: Digest, cause: unknown): TsbuildError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `Cannot use image ${formatReference(reference)}: the disk has changed its layer ${damaged}, which was removed, and it cannot be pulled again (${reason})`;
  return new TsbuildError('DIGEST_MISMATCH', message, { hint: 'Import, load or build the image again.', cause });
}

function snapshotsFor(session: Session, use: BaseUse): Snapshotter | undefined {
  return use === 'files' ? session.snapshots : undefined;
}
