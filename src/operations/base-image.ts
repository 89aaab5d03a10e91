/** The image that a FROM, a COPY --from or `tsbuild run` names: out of the store, or pulled into it. */
import type { Image } from '../images/image.ts';
import { loadImage } from '../images/image.ts';
import { importLayout } from '../images/import-layout.ts';
import { pullImage } from '../images/pull-image.ts';
import { parseReference } from '../oci/reference.ts';
import type { Session } from '../session.ts';

/** What a named context puts in the place of an image's name. */
const LAYOUT = 'oci-layout://';

/** `first: 'store'` asks the registry only for what the store lacks. Throws IMAGE_NOT_FOUND and the registry's errors. */
export async function baseImage(session: Session, name: string, first: 'store' | 'registry'): Promise<Image> {
  if (name.startsWith(LAYOUT)) return await importLayout(session, name.slice(LAYOUT.length), session.platform);
  const stored = first === 'store' ? session.store.images.resolve(name) : undefined;
  if (stored !== undefined) return await loadImage(session.store, stored.descriptor, session.platform);
  return await pullImage(session, parseReference(name), session.platform);
}
