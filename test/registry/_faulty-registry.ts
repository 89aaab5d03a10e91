/** The real registry behind a proxy that breaks it: started for the test file that imports this. */
import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';
import type { RegistryClient } from '../../src/registry/registry-client.ts';
import { startRegistry, type TestRegistry } from './_docker-registry.ts';
import { blobOf, chunked, collect, makeImage, noise, openTestClient, pushImage, refOf } from './_images.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';

export const MIB = 1024 * 1024;
export const BYTES = noise(MIB, 42);
export const BLOB = blobOf(BYTES);

/** What clients talk to. */
export let proxy: FaultProxy;
/** Another host, to which nothing secret may go. */
export let evil: FaultProxy;

let registry: TestRegistry;

before(async () => {
  registry = await startRegistry();
  proxy = await startFaultProxy(registry.port);
  evil = await startFaultProxy(registry.port);
  await using client = openTestClient();
  const reference = refOf(registry.host, 'app:1');
  await pushImage(client, reference, makeImage());
  await client.pushBlob(reference, BLOB, () => chunked(BYTES), []);
});
after(async () => {
  await proxy[Symbol.asyncDispose]();
  await evil[Symbol.asyncDispose]();
  await registry.stop();
});
beforeEach(() => {
  proxy.reset();
  evil.reset();
});

export const app = () => refOf(proxy.host, 'app:1');
let pushes = 0;
/** A repository that has nothing yet. */
export const fresh = () => {
  pushes += 1;
  return refOf(proxy.host, `fresh/${pushes}:1`);
};

export const pull = (client: RegistryClient) => collect(client.fetchBlob(app(), BLOB));

/** Pushes the blob to a repository of its own, and checks that it arrived. */
export async function pushFresh(client: RegistryClient): Promise<void> {
  const reference = fresh();
  assert.equal(await client.pushBlob(reference, BLOB, () => chunked(BYTES), []), 'pushed');
  await using direct = openTestClient();
  assert.deepEqual(await collect(direct.fetchBlob({ ...reference, registry: registry.host }, BLOB)), BYTES);
}

export function withoutDigest(headers: Record<string, string | string[]>): Record<string, string | string[]> {
  const { 'docker-content-digest': _, etag: _etag, ...rest } = headers;
  return rest;
}

export function* endless(): Generator<Buffer> {
  const chunk = Buffer.alloc(64 * 1024, '[');
  for (;;) yield chunk;
}
