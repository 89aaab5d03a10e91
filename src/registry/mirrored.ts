/** A client that looks at mirrors first. What they give is checked as what the registry gives; pushes never go there. */
import { TsbuildError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Reference } from '../oci/reference.ts';
import { homeOf, locationOf, mirrorsOf } from './places.ts';
import type { Registries } from './registries.ts';
import type { RegistryClient } from './registry-client.ts';
import { type FailedRequest, RegistryError } from './registry-error.ts';
import { repositoryName } from './repository.ts';

/** A mirror failed in the midst of a blob, after bytes that nobody has checked: ask for all of it again, and another place answers. */
export class MirrorError extends RegistryError {
  override readonly name: string = 'MirrorError';

  constructor(cause: TsbuildError, request: FailedRequest) {
    // Whoever passes the bytes on to another registry sends them again.
    super('REGISTRY_ERROR', cause.message, { hint: cause.hint, cause, request, attemptsMax: Number.POSITIVE_INFINITY });
  }
}

export interface MirrorOptions {
  readonly registries: Registries;
  readonly signal: AbortSignal;
  /** Once for each mirror and repository that failed. */
  readonly onNotice: (message: string) => void;
}

/** The client itself where no registry is configured. */
export function throughMirrors(client: RegistryClient, options: MirrorOptions): RegistryClient {
  const { registries } = options;
  if (registries.entries.size === 0) return client;
  const home = (reference: Reference): Reference => homeOf(registries, reference);
  /** Mirrors that do not answer, and repositories of mirrors that failed: not asked again. */
  const failed = new Set<string>();
  const hasFailed = (mirror: Reference): boolean => failed.has(mirror.registry) || failed.has(repositoryName(mirror));
  const usable = (reference: Reference): Reference[] => mirrorsOf(registries, reference).filter((mirror) => !hasFailed(mirror));
  const giveUp = (mirror: Reference, error: unknown): TsbuildError => {
    const reason = mirrorFailure(error, options.signal);
    // That a mirror has not everything is as it should be.
    const expected = reason.code === 'ERR_TSBUILD_REGISTRY_NOT_FOUND';
    if (!hasFailed(mirror) && !expected) options.onNotice(`The mirror ${mirror.registry} failed: ${reason.message}`);
    failed.add(reason.code === 'ERR_TSBUILD_REGISTRY_UNREACHABLE' ? mirror.registry : repositoryName(mirror));
    return reason;
  };
  /** What the first mirror says that does not fail, else the registry. */
  const firstOf = async <T>(reference: Reference, ask: (place: Reference, mirror?: string) => Promise<T>): Promise<T> => {
    const own = home(reference);
    const reasons: string[] = [];
    for (const mirror of usable(reference)) {
      try {
        return await ask(mirror, mirror.registry);
      } catch (error) {
        reasons.push(giveUp(mirror, error).message);
      }
    }
    return await ask(own).catch((error: unknown) => {
      throw error instanceof TsbuildError && reasons.length > 0 ? error.hinted(`Mirrors were asked before: ${reasons.join('; ')}.`) : error;
    });
  };
  return {
    ...client,
    resolve: (reference, platform) =>
      firstOf(reference, async (place, mirror) => {
        const resolved = await client.resolve(place, platform);
        return mirror === undefined ? resolved : { ...resolved, mirror };
      }),
    document: (reference) => firstOf(reference, (place) => client.document(place)),
    // A mirror may not have what was signed later.
    referrers: (repository, question) => client.referrers(homeOf(registries, repository), question),
    async *fetchBlob(reference, blob, check) {
      const own = home(reference);
      for (const mirror of usable(reference)) {
        let bytes = 0;
        try {
          // Whatever the caller checks: a mirror that lies is to be known as one.
          for await (const chunk of client.fetchBlob(mirror, blob)) {
            bytes += chunk.length;
            yield chunk;
          }
          return;
        } catch (error) {
          const reason = giveUp(mirror, error);
          if (bytes > 0) throw new MirrorError(reason, { method: 'GET', url: `${repositoryName(mirror)}@${blob.digest}` });
        }
      }
      yield* client.fetchBlob(own, blob, check);
    },
    hasBlob: (reference, blob) => client.hasBlob(home(reference), blob),
    pushBlob: (reference, blob, open, mountFrom) => pushHome(client, registries, { reference, blob, open, mountFrom }),
    pushManifest: (reference, bytes, mediaType) => client.pushManifest(home(reference), bytes, mediaType),
  };
}

interface BlobPush {
  readonly reference: Reference;
  readonly blob: Descriptor;
  readonly open: () => AsyncIterable<Buffer>;
  readonly mountFrom: readonly string[];
}

/** Repositories to mount from are moved as the reference is; one that ends up elsewhere is none. */
async function pushHome(client: RegistryClient, registries: Registries, push: BlobPush): Promise<'pushed' | 'exists' | 'mounted'> {
  const { registry } = push.reference;
  const target = homeOf(registries, push.reference);
  const places = push.mountFrom.map((repository) => locationOf(registries, { registry, repository }));
  const mountFrom = places.filter((place) => place.registry === target.registry).map(({ repository }) => repository);
  return await client.pushBlob(target, push.blob, push.open, mountFrom);
}

/** What allows to go on to the next place. A bug, an interruption and a timeout do not. */
function mirrorFailure(error: unknown, signal: AbortSignal): TsbuildError {
  if (!(error instanceof TsbuildError) || signal.aborted) throw error;
  if (error.code === 'ERR_TSBUILD_INTERRUPTED' || error.code === 'ERR_TSBUILD_TIMEOUT') throw error;
  return error;
}
