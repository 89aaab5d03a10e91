/** Push and pull through Debian's real registry, with skopeo as the other client. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import type { BuildEvent } from '../../src/events.ts';
import { pushImage } from '../../src/exporters/registry-exporter.ts';
import { assembleImage } from '../../src/images/assemble-image.ts';
import { pullImage } from '../../src/images/pull-image.ts';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf, hexOf } from '../../src/oci/digest.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { openRegistryClient, type RegistryClient } from '../../src/registry/registry-client.ts';
import type { Store } from '../../src/store/open-store.ts';
import { AMD64, importTar, makeRootfsTar, recorder } from '../images/_rootfs.ts';
import { startRegistry } from '../registry/_docker-registry.ts';
import { fsck } from '../store/_fsck.ts';
import { putImage, temporaryDirectory, temporaryStore } from '../store/_store.ts';

const signal = new AbortController().signal;
const code = (name: string) => (error: unknown) => error instanceof TsbuildError && error.code === `ERR_TSBUILD_${name}`;
const skopeo = (...args: string[]) => execFileSync('skopeo', args, { encoding: 'utf8', stdio: 'pipe' });
const states = (events: readonly BuildEvent[]) =>
  events.flatMap((event) => (event.kind === 'transfer' && event.state !== 'running' ? [event.state] : []));

function client(t: TestContext): RegistryClient {
  const registry = openRegistryClient({ signal });
  t.after(() => registry.close());
  return registry;
}

test('pushImage() sends an image that skopeo reads back whole, and a second push sends nothing', async (t) => {
  await using server = await startRegistry();
  const store = await temporaryStore(t);
  const directory = temporaryDirectory(t);
  const descriptor = await importTar(store, makeRootfsTar(directory));
  const registry = client(t);
  const name = `${server.host}/team/app:1`;
  const first = recorder();
  await pushImage({ store, registry, emit: first.emit, signal }, descriptor, parseReference(name));
  assert.deepEqual(states(first.events), ['done', 'done']);
  const last = first.events.at(-1);
  assert.ok(last?.kind === 'image' && last.action === 'pushed' && last.digest === descriptor.digest && last.names[0] === name);
  assert.equal(digestOf(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${name}`)), descriptor.digest);
  skopeo('copy', '--src-tls-verify=false', `docker://${name}`, `dir:${directory}/copy`);
  for (const digest of store.content.list().filter((each) => each !== descriptor.digest)) {
    assert.equal(digestOf(readFileSync(join(directory, 'copy', hexOf(digest)))), digest);
  }
  const second = recorder();
  await pushImage({ store, registry, emit: second.emit, signal }, descriptor, parseReference(name));
  assert.deepEqual(states(second.events), ['exists', 'exists']);
  const third = recorder();
  await pushImage({ store, registry, emit: third.emit, signal }, descriptor, parseReference(`${server.host}/other/app`));
  assert.deepEqual(states(third.events), ['mounted', 'mounted']);
});

test('pushImage() pushes all manifests of an index before the index', async (t) => {
  await using server = await startRegistry();
  const store = await temporaryStore(t);
  const manifests = [];
  for (const architecture of ['amd64', 'arm64']) {
    const platform = { os: 'linux', architecture };
    manifests.push({ ...(await assembleImage(store, { config: platform, layers: [] })), platform });
  }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests }));
  const descriptor = { mediaType: MEDIA_TYPE.index, ...(await store.content.put(bytes)) };
  await pushImage({ store, registry: client(t), emit: () => undefined, signal }, descriptor, parseReference(`${server.host}/many`));
  assert.equal(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${server.host}/many`), bytes.toString());
  const arm = JSON.parse(skopeo('inspect', '--override-arch=arm64', '--config', '--tls-verify=false', `docker://${server.host}/many`));
  assert.equal(arm.architecture, 'arm64');
});

test('pushImage() refuses a digest that is not the image, and a blob that has rotted, before any manifest is there', async (t) => {
  await using server = await startRegistry();
  const store = await temporaryStore(t);
  const descriptor = await putImage(store, [randomBytes(1000)]);
  const session = { store, registry: client(t), emit: () => undefined, signal };
  await assert.rejects(pushImage(session, descriptor, parseReference(`${server.host}/a@${digestOf('other')}`)), code('REFERENCE_INVALID'));
  const manifest = JSON.parse((await store.content.read(descriptor.digest)).toString());
  writeFileSync(store.content.path(manifest.layers[0].digest), Buffer.alloc(1000));
  await assert.rejects(pushImage(session, descriptor, parseReference(`${server.host}/a`)), code('DIGEST_MISMATCH'));
  assert.throws(() => skopeo('inspect', '--tls-verify=false', `docker://${server.host}/a`), /manifest unknown|name unknown/i);
});

async function pushWithSkopeo(t: TestContext, host: string): Promise<{ directory: string; source: Store }> {
  const source = await temporaryStore(t);
  const directory = temporaryDirectory(t);
  const descriptor = await importTar(source, makeRootfsTar(directory));
  const layout = join(directory, 'layout');
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }));
  for (const digest of source.content.list()) writeFileSync(join(layout, 'blobs/sha256', hexOf(digest)), await source.content.read(digest));
  skopeo('copy', '--dest-tls-verify=false', `oci:${layout}`, `docker://${host}/base:1`);
  skopeo('copy', '--dest-tls-verify=false', '--format=v2s2', `oci:${layout}`, `docker://${host}/docker:1`);
  return { directory, source };
}

test('pullImage() fetches what skopeo pushed in both formats, names it, and fetches nothing twice', async (t) => {
  await using server = await startRegistry();
  await pushWithSkopeo(t, server.host);
  const store = await temporaryStore(t);
  const registry = client(t);
  const { events, emit } = recorder();
  const image = await pullImage({ store, registry, emit, signal }, parseReference(`${server.host}/base:1`), AMD64);
  assert.deepEqual(states(events), ['done', 'done']);
  assert.deepEqual(store.images.get(`${server.host}/base:1`)?.descriptor, image.descriptor);
  const again = recorder();
  await pullImage({ store, registry, emit: again.emit, signal }, parseReference(`${server.host}/base:1`), AMD64);
  assert.deepEqual(states(again.events), ['exists', 'exists']);
  const docker = recorder();
  const other = await pullImage({ store, registry, emit: docker.emit, signal }, parseReference(`${server.host}/docker:1`), AMD64);
  assert.equal(other.manifest.mediaType, MEDIA_TYPE.dockerManifest);
  assert.deepEqual(other.config, image.config);
  const pinned = `${server.host}/base@${image.descriptor.digest}`;
  assert.equal(
    (await pullImage({ store, registry, emit, signal }, parseReference(pinned), AMD64)).descriptor.digest,
    image.descriptor.digest,
  );
  assert.deepEqual(store.origins.get(image.manifest.config.digest)[0], { registry: server.host, repository: 'base' });
  assert.deepEqual(fsck(store.root), []);
  await assert.rejects(
    pullImage({ store, registry, emit, signal }, parseReference(`${server.host}/base:1`), { os: 'linux', architecture: 's390x' }),
    code('PLATFORM_NOT_FOUND'),
  );
});

test('pullImage() changes no reference where a blob of the registry has rotted or is missing', async (t) => {
  await using server = await startRegistry();
  await pushWithSkopeo(t, server.host);
  const store = await temporaryStore(t);
  const name = `${server.host}/base:1`;
  const old = await putImage(store, [Buffer.from('old')]);
  await store.images.set(name, old);
  const blobs = store.content.list();
  const manifest = JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${name}`));
  const hex: string = manifest.layers[0].digest.slice(7);
  const file = join(server.directory, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
  writeFileSync(file, Buffer.alloc(manifest.layers[0].size));
  const pull = () => pullImage({ store, registry: client(t), emit: () => undefined, signal }, parseReference(name), AMD64);
  await assert.rejects(pull(), code('DIGEST_MISMATCH'));
  rmSync(file);
  await assert.rejects(pull(), code('REGISTRY_NOT_FOUND'));
  assert.deepEqual(store.images.get(name)?.descriptor, old);
  assert.ok(blobs.every((digest) => store.content.has(digest)));
  assert.deepEqual(
    readdirSync(join(store.root, 'ingest')).flatMap((each) => readdirSync(join(store.root, 'ingest', each))),
    [],
  );
  assert.deepEqual(fsck(store.root), []);
});
