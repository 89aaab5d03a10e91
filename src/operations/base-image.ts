/** The image that a FROM, a COPY --from or `tsbuild run` names: out of the store, or pulled into it. */
import type { Image } from '../images/image.ts';
import { loadImage } from '../images/image.ts';
import { pullImage } from '../images/pull-image.ts';
import { parseReference } from '../oci/reference.ts';
import type { Session } from '../session.ts';

/** `first: 'store'` asks the registry only for what the store lacks. Throws IMAGE_NOT_FOUND and the registry's errors. */
export async function baseImage(session: Session, name: string, first: 'store' | 'registry'): Promise<Image> {
  const stored = first === 'store' ? session.store.images.resolve(name) : undefined;
  if (stored !== undefined) return await loadImage(session.store, stored.descriptor, session.platform);
  return await pullImage(session, parseReference(name), session.platform);
}
