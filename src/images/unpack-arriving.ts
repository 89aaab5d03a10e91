/** Layers that are unpacked in their order while later ones are still on their way. */
import type { Digest } from '../oci/digest.ts';
import type { Snapshotter } from '../snapshots/snapshotter.ts';
import type { Store } from '../store/open-store.ts';
import type { Image } from './image.ts';
import { type UnpackSession, unpackImage } from './unpack-image.ts';

export type FetchAll = (session: { readonly signal: AbortSignal }, arrived: (digest: Digest) => void) => Promise<void>;

/** What is known of a layer: that it is there, or that it will not come. */
interface Arrival {
  readonly there: Promise<void>;
  come(): void;
  fail(error: unknown): void;
}

/**
 * `fetchAll` brings each layer into the store and says so. A layer is unpacked when all of it is there and verified, so nothing that a
 * registry sends is looked at before; its snapshot is committed when its diffID is right. The first failure of either ends both, and
 * is thrown when nothing runs any more.
 */
export async function unpackArriving(
  session: Omit<UnpackSession, 'snapshots'> & { readonly store: Pick<Store, 'content'>; readonly snapshots: Snapshotter },
  image: Image,
  fetchAll: FetchAll,
): Promise<void> {
  const failure = new AbortController();
  const signal = AbortSignal.any([session.signal, failure.signal]);
  const arrivals = new Map(image.manifest.layers.map(({ digest }) => [digest, openArrival()]));
  const fetching = fetchAll({ signal }, (digest) => arrivals.get(digest)?.come());
  let failed: { readonly error: unknown } | undefined;
  const failAll = (error: unknown): void => {
    failed ??= { error };
    failure.abort(error);
    for (const arrival of arrivals.values()) arrival.fail(error);
  };
  fetching.catch(failAll);
  const { store, snapshots, emit } = session;
  const unpacking = unpackImage({ store, snapshots, emit, signal }, image, async (digest) => await arrivals.get(digest)?.there);
  unpacking.catch(failAll);
  await Promise.allSettled([fetching, unpacking]);
  if (failed !== undefined) throw failed.error;
}

function openArrival(): Arrival {
  let come: () => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const there = new Promise<void>((resolve, reject) => {
    come = resolve;
    fail = reject;
  });
  // Perhaps nobody waits for it any more.
  there.catch(() => {});
  return { there, come, fail };
}
