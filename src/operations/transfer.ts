/** `pull`, `push`, `save`, `import`: images in and out of the local store. */
import type { Writable } from 'node:stream';
import { pullAttestations } from '../attestations/pull-attestations.ts';
import { openInput } from '../context/open-input.ts';
import { signPushed } from '../exporters/image-exporter.ts';
import { saveImages } from '../exporters/oci-archive.ts';
import { pushImage as pushStored } from '../exporters/registry-exporter.ts';
import { importRootfs } from '../images/import-image.ts';
import { wholePart } from '../images/present-images.ts';
import { pullImage as pullFrom } from '../images/pull-image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { parsePlatform } from '../oci/platform.ts';
import { familiarName, formatReference, parseNewName, parseReference } from '../oci/reference.ts';
import { type CommonOptions, openSession, type Session } from '../session.ts';
import { storedImage } from './images.ts';
import { readSigningKey, type SigningKeySource } from './signatures.ts';

export interface TransferResult {
  /** Of the manifest or index. */
  readonly digest: Digest;
  /** As people write it. */
  readonly name: string;
}

type Pulled = { readonly platform?: string | undefined };

type Named = CommonOptions & { readonly name: string };

/** Fetches the image that `name` means in its registry now, for this machine's platform or another one. What another platform's pull left stays, and what is attested of the image comes along. */
export async function pullImage(options: Named & Pulled): Promise<TransferResult> {
  await using session = await openSession(options);
  session.store.expectLarge();
  const platform = options.platform === undefined ? session.platform : parsePlatform(options.platform);
  const reference = parseReference(options.name);
  const { descriptor } = await pullFrom(session, reference, platform);
  const root = session.store.images.get(formatReference(reference))?.descriptor ?? descriptor;
  await pullAttestations(session, reference, { root, image: descriptor });
  return {
    digest: root.digest,
    name: familiarName(parseReference(options.name)),
  };
}

/** Sends a stored image to the registry that its name begins with. */
export async function pushImage(options: Named & { readonly signBy?: SigningKeySource | undefined }): Promise<TransferResult> {
  const signer = options.signBy && readSigningKey(options.signBy);
  await using session = await openSession(options);
  const { name, descriptor } = storedImage(session, options.name);
  const part = await wholePart(session.store, descriptor);
  tellOfPart(session, { whole: descriptor, part, name });
  await pushStored(session, part, parseReference(name));
  await signPushed({ ...session, signer }, part, [parseReference(name)]);
  return { digest: part.digest, name: familiarName(parseReference(name)) };
}

/** A digest that is another one has to be told of. */
function tellOfPart(
  { emit }: Session,
  { whole, part, name }: { readonly whole: Descriptor; readonly part: Descriptor; readonly name: string },
): void {
  if (part.digest === whole.digest) return;
  const message = `The store has only a part of ${name}, without platforms or attestations that were not pulled: it goes as ${part.digest}`;
  emit({ kind: 'warning', message });
}

/** Writes a stored image as an OCI archive (which `docker load` takes, too) to a file, by rename, or to a stream. */
export async function saveImage(options: Named & { readonly output: string | Writable }): Promise<TransferResult> {
  await using session = await openSession(options);
  const { name, descriptor: whole } = storedImage(session, options.name);
  const stored = { name, descriptor: await wholePart(session.store, whole) };
  tellOfPart(session, { whole, part: stored.descriptor, name });
  await saveImages(session, [stored], typeof options.output === 'string' ? { path: options.output } : { stream: options.output });
  return { digest: stored.descriptor.digest, name: familiarName(parseReference(stored.name)) };
}

/** Makes a one-layer image of a root file system's tar (plain or compressed); `input` is a file, or `-` for standard input. */
export async function importImage(options: Named & { readonly input: string }): Promise<TransferResult> {
  const reference = parseNewName(options.name);
  await using session = await openSession(options);
  using input = openInput(options.input, session.signal);
  const { digest } = await importRootfs(session, { input: input.chunks, name: options.name, platform: session.platform });
  return { digest, name: familiarName(reference) };
}
