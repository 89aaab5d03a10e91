/** `manifest push`: a name of the store → a registry, with everything that it refers to, wherever that is. */
import { pushImage } from '../../exporters/registry-exporter.ts';
import type { Digest } from '../../oci/digest.ts';
import { familiarName, parseReference } from '../../oci/reference.ts';
import { type CommonOptions, openSession } from '../../session.ts';
import { storedImage } from '../images.ts';
import { findDocument } from './find-document.ts';
import { keepDocuments } from './keep-document.ts';

/**
 * Pushes to `destination`, by default where the name says. Documents that the store lacks are fetched; blobs that it lacks are
 * mounted where their registry is the same, and else passed on without being kept.
 */
export async function pushIndex(
  options: CommonOptions & { readonly name: string; readonly destination?: string | undefined },
): Promise<{ digest: Digest; name: string }> {
  await using session = await openSession(options);
  const { name } = storedImage(session, options.name);
  const found = await findDocument(session, name, 'store');
  await keepDocuments(session, found);
  const destination = parseReference(options.destination ?? name);
  await pushImage(session, found.descriptor, destination);
  return { digest: found.descriptor.digest, name: familiarName(destination) };
}
