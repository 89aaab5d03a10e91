/** Small images and clients for the tests of the registry. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Descriptor, MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { parseReference, type Reference } from '../../src/oci/reference.ts';
import { NO_REGISTRIES } from '../../src/registry/registries.ts';
import { openRegistryClient, type RegistryClient, type RegistryClientOptions } from '../../src/registry/registry-client.ts';
import { temporaryDirectory } from './_temporary.ts';

export const AMD64 = { os: 'linux', architecture: 'amd64' } as const;

/** A client that never waits, with no credentials unless told. */
export function openTestClient(options: Partial<RegistryClientOptions> = {}): RegistryClient & AsyncDisposable {
  const client = openRegistryClient({
    signal: new AbortController().signal,
    dockerConfigDir: '/nonexistent',
    certificatesDirs: [],
    registries: NO_REGISTRIES,
    retry: { sleep: async () => {} },
    ...options,
  });
  return { ...client, [Symbol.asyncDispose]: () => client.close() };
}

export function dockerConfig(config: unknown): string {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  return directory;
}

export function basicAuth(user: string, password: string): { auth: string } {
  return { auth: Buffer.from(`${user}:${password}`).toString('base64') };
}

/** Bytes that look random and are the same in each run. */
export function noise(size: number, seed = 1): Buffer {
  const blocks: Buffer[] = [];
  for (let made = 0; made < size; made += 64) blocks.push(createHash('sha512').update(`${seed} ${made}`).digest());
  return Buffer.concat(blocks).subarray(0, size);
}

export function blobOf(bytes: Buffer, mediaType: string = MEDIA_TYPE.layerGzip): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

export async function* chunked(bytes: Buffer, size = 16 * 1024): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

export function refOf(host: string, rest: string): Reference {
  return parseReference(`${host}/${rest}`);
}

export interface TestImage {
  readonly blobs: readonly { readonly descriptor: Descriptor; readonly bytes: Buffer }[];
  readonly bytes: Buffer;
  readonly descriptor: Descriptor;
}

/** An image whose layer is an empty tar, and which skopeo can copy. */
export function makeImage(architecture = 'amd64'): TestImage {
  const tar = Buffer.alloc(10240);
  const layer = gzipSync(tar);
  const rootfs = { type: 'layers', diff_ids: [digestOf(tar)] };
  const config = Buffer.from(JSON.stringify({ architecture, os: 'linux', config: {}, rootfs }));
  const blobs = [
    { descriptor: blobOf(config, MEDIA_TYPE.config), bytes: config },
    { descriptor: blobOf(layer), bytes: layer },
  ];
  const [first, second] = blobs.map(({ descriptor }) => descriptor);
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config: first, layers: [second] }));
  return { blobs, bytes, descriptor: blobOf(bytes, MEDIA_TYPE.manifest) };
}

export async function pushImage(client: RegistryClient, reference: Reference, image: TestImage): Promise<void> {
  for (const { descriptor, bytes } of image.blobs) await client.pushBlob(reference, descriptor, () => chunked(bytes), []);
  await client.pushManifest(reference, image.bytes, image.descriptor.mediaType);
}
