/** A place → what keeps a cache there. The code of each is loaded when it is used. */
import { parseReference } from '../oci/reference.ts';
import type { CacheSource, CacheTarget, RegistryPlace } from './cache-place.ts';
import type { CacheCarrier, CacheSession } from './carrier.ts';

/** `inline` is no place of its own. The caller closes it. */
export async function openCarrier(
  session: CacheSession,
  place: Exclude<CacheSource | CacheTarget, { type: 'inline' }>,
): Promise<CacheCarrier> {
  switch (place.type) {
    case 'registry':
      return await openRegistry(session, place);
    case 'local': {
      const { openLocalCarrier } = await import('./local-carrier.ts');
      return openLocalCarrier({ ...place, directory: 'src' in place ? place.src : place.dest });
    }
    case 's3': {
      const { openS3Carrier } = await import('./s3-carrier.ts');
      return openS3Carrier(place, session.signal);
    }
    case 'gha': {
      const { openGithubCarrier } = await import('./github-carrier.ts');
      return openGithubCarrier(place, session.signal);
    }
  }
}

async function openRegistry(session: CacheSession, { ref, insecure = false }: RegistryPlace): Promise<CacheCarrier> {
  const { openRegistryCarrier } = await import('./registry-carrier.ts');
  if (!insecure) return openRegistryCarrier(session.registry, ref, false);
  const { openRegistryClient } = await import('../registry/registry-client.ts');
  const { registry } = parseReference(ref);
  const { signal, retry } = session;
  return openRegistryCarrier(openRegistryClient({ signal, retry, insecureRegistries: [registry] }), ref, true);
}
