import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { canonicalJson } from '../../src/oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { openStore, type Store } from '../../src/store/open-store.ts';

export function temporaryDirectory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tsbuild-test-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export async function temporaryStore(t: TestContext): Promise<Store> {
  const store = await openStore(join(temporaryDirectory(t), 'root'));
  t.after(() => store[Symbol.asyncDispose]());
  return store;
}

/** An image whose layers are any bytes: enough for a store, too little to unpack. */
export async function putImage(store: Store, layers: readonly Buffer[]): Promise<Descriptor> {
  const stored: Descriptor[] = [];
  for (const layer of layers) stored.push({ mediaType: MEDIA_TYPE.layer, ...(await store.content.put(layer)) });
  const config = canonicalJson({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: stored.map(({ digest }) => digest) },
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config: { mediaType: MEDIA_TYPE.config, ...(await store.content.put(config)) },
    layers: stored,
  };
  return { mediaType: MEDIA_TYPE.manifest, ...(await store.content.put(canonicalJson(manifest))) };
}
