/** `type=image` and `type=registry`: names in the store and, where asked for, in registries. */
import { TsbuildError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { imageSize } from '../images/image-size.ts';
import { manifestsOf } from '../images/present-images.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { formatReference, parseNewName, type Reference } from '../oci/reference.ts';
import { openRegistryClient } from '../registry/registry-client.ts';
import type { Store } from '../store/open-store.ts';
import { IMAGE_ATTRIBUTES, imageAttributes, namesOf } from './image-attributes.ts';
import type { Exporter, ExportSession, ImageOutput, Output } from './output.ts';
import { pushImage } from './registry-exporter.ts';

/** A pushed image keeps its names in the store, too, so that the next command finds it; only `docker buildx` without a store differs. */
export const imageExporter: Exporter<ImageOutput> = {
  attributes: [...IMAGE_ATTRIBUTES, 'push', 'push-by-digest', 'registry.insecure', 'store'],
  parse: (fields) => ({
    type: fields.type === 'registry' ? 'registry' : 'image',
    ...imageAttributes(fields),
    push: fields.boolean('push'),
    pushByDigest: fields.boolean('push-by-digest'),
    insecure: fields.boolean('registry.insecure'),
    store: fields.boolean('store'),
  }),
  check(output, build) {
    const names = namesOf(output, build.tags);
    if (isPushed(output) && names.length === 0) {
      throw new TsbuildError('USAGE', 'Cannot push an image without a name', { hint: 'Give it one: -t NAME, or name=NAME in the output.' });
    }
    for (const name of output.pushByDigest === true ? names : []) checkUntagged(name);
  },
  async run(session, result, output) {
    const image = await result.image(output);
    const names = (output.names ?? []).map(parseNewName);
    await tagImage(session, image.descriptor, output.store === false || output.pushByDigest === true ? [] : names);
    if (isPushed(output)) await pushAll(session, image.descriptor, { output, names });
    return image;
  },
};

export interface TagSession {
  readonly store: Pick<Store, 'content' | 'images'>;
  readonly emit: Emit;
}

/** Points each name to the image. When it resolves, the image survives power loss under all of them, and without any too. */
export async function tagImage({ store, emit }: TagSession, descriptor: Descriptor, names: readonly Reference[]): Promise<void> {
  const normal = names.map(formatReference);
  if (normal.length === 0) await store.content.sync();
  for (const name of normal) await store.images.set(name, descriptor);
  emit({ kind: 'image', action: 'stored', digest: descriptor.digest, names: normal, size: imageSize(store, descriptor) });
}

async function pushAll(
  session: ExportSession,
  descriptor: Descriptor,
  { output, names }: { output: ImageOutput; names: readonly Reference[] },
): Promise<void> {
  const { signal, retry } = session;
  const insecureRegistries = names.map(({ registry }) => registry);
  const registry = output.insecure === true ? openRegistryClient({ signal, retry, insecureRegistries }) : session.registry;
  try {
    for (const name of names) {
      const { digest } = descriptor;
      const target = output.pushByDigest === true ? { registry: name.registry, repository: name.repository, digest } : name;
      await pushImage({ ...session, registry }, descriptor, target);
    }
    await signPushed({ ...session, registry }, descriptor, names);
  } finally {
    if (output.insecure === true) await registry.close();
  }
}

type SignSession = Pick<ExportSession, 'registry' | 'signer' | 'emit' | 'store'>;

/** Once in each repository: signatures are of digests, whatever tags these have. What an index lists is signed, too: runtimes look at that. */
export async function signPushed(
  { registry, signer, emit, store }: SignSession,
  pushed: Descriptor,
  names: readonly Reference[],
): Promise<void> {
  if (signer === undefined) return;
  const { signImages } = await import('../attestations/signing/image-signatures.ts');
  const digests = [pushed, ...manifestsOf(store, pushed)].map(({ digest }) => digest);
  for (const [place, { registry: host, repository }] of new Map(names.map((each) => [`${each.registry}/${each.repository}`, each]))) {
    const outcome = await signImages(registry, { registry: host, repository }, { digests, key: signer });
    if (outcome === 'signed') emit({ kind: 'image', action: 'signed', digest: pushed.digest, names: [place], size: 0 });
  }
}

/** Whether an output leaves something in a registry. */
export function isPushed(output: Output): boolean {
  if (output.type !== 'image' && output.type !== 'registry') return false;
  const { type, push, pushByDigest } = output;
  return push ?? (type === 'registry' || pushByDigest === true);
}

function checkUntagged(name: string): void {
  if (!/:[^/]*$/.test(name)) return;
  throw new TsbuildError('USAGE', `Cannot push ${JSON.stringify(name.slice(0, 300))} by digest: it has a tag`, {
    hint: 'Name the repository alone.',
  });
}
