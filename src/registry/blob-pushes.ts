/** Each blob once: whoever needs it in the same repository waits for the same push, whoever needs it in another one mounts it from there. */
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { OpenBlob } from './blob-source.ts';
import { type Repository, repositoryName } from './repository.ts';

export type PushOutcome = 'pushed' | 'exists' | 'mounted';

export interface BlobToPush {
  readonly blob: Descriptor;
  readonly open: OpenBlob;
  /** Repositories of the same registry that may have it. */
  readonly mountFrom: readonly string[];
}

export interface BlobPushes {
  /** 'exists' where this client has seen to it before. */
  push(repository: Repository, wanted: BlobToPush): Promise<PushOutcome>;
  /** What was seen to there is to be seen to again. */
  forget(repository: Repository): void;
}

export function openBlobPushes(push: (repository: Repository, wanted: BlobToPush) => Promise<PushOutcome>): BlobPushes {
  /** By repository. */
  const pushes = new Map<string, Map<Digest, Promise<PushOutcome>>>();
  /** By registry: the repository whose push is under way. */
  const running = new Map<string, Map<Digest, { readonly repository: string; readonly done: Promise<unknown> }>>();

  const pushAfter = async (repository: Repository, wanted: BlobToPush): Promise<PushOutcome> => {
    const { digest } = wanted.blob;
    const others = inner(running, repository.registry);
    const mountFrom = [...wanted.mountFrom];
    for (let other = others.get(digest); other !== undefined; other = others.get(digest)) {
      await other.done.catch(() => {});
      if (!mountFrom.includes(other.repository)) mountFrom.unshift(other.repository);
    }
    const mine = push(repository, { ...wanted, mountFrom });
    others.set(digest, { repository: repository.repository, done: mine });
    return await mine.finally(() => others.delete(digest));
  };

  return {
    async push(repository, wanted) {
      const known = inner(pushes, repositoryName(repository));
      const { digest } = wanted.blob;
      const earlier = known.get(digest);
      if (earlier !== undefined) return await earlier.then(() => 'exists');
      const mine = pushAfter(repository, wanted);
      known.set(digest, mine);
      mine.catch(() => known.get(digest) === mine && known.delete(digest));
      return await mine;
    },
    forget: (repository) => void pushes.delete(repositoryName(repository)),
  };
}

function inner<V>(outer: Map<string, Map<Digest, V>>, key: string): Map<Digest, V> {
  const found = outer.get(key) ?? new Map<Digest, V>();
  outer.set(key, found);
  return found;
}
