/** Referrers by the API and by the tag schema, both with Debian's real registry behind. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type Descriptor, MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import type { Reference } from '../../src/oci/reference.ts';
import type { RegistryClient } from '../../src/registry/registry-client.ts';
import { startRegistry, type TestRegistry } from './_docker-registry.ts';
import { basicAuth, blobOf, chunked, dockerConfig, makeImage, openTestClient, pushImage, refOf } from './_images.ts';
import { type ReferrersRegistry, startReferrersRegistry } from './_referrers-registry.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';

const SIGNATURE = 'application/vnd.example.signature';
const SBOM = 'application/vnd.example.sbom+json';
let registry: TestRegistry;
let api: ReferrersRegistry;
let proxy: FaultProxy;
let images = 0;

before(async () => {
  registry = await startRegistry();
  api = await startReferrersRegistry(registry.port);
  proxy = await startFaultProxy(registry.port);
});
after(async () => {
  for (const closing of [api, proxy]) await closing[Symbol.asyncDispose]();
  await registry.stop();
});
beforeEach(() => {
  Object.assign(api, { pageSize: 100, filters: true, link: undefined });
  api.requests.length = 0;
  proxy.reset();
});

/** An image in a repository of its own. */
async function subjectAt(client: RegistryClient, host: string): Promise<{ reference: Reference; subject: Descriptor }> {
  images += 1;
  const reference = refOf(host, `subject/${images}:1`);
  // One of its own: lists are by digest.
  const image = makeImage(`arch${images}`);
  await pushImage(client, reference, image);
  return { reference, subject: image.descriptor };
}

interface Artifact {
  readonly subject: Descriptor;
  readonly artifactType?: string;
  readonly note?: string;
}

/** Pushes an artifact that is about the subject, and tells what is to be listed. */
async function refer(
  client: RegistryClient,
  { registry: host, repository }: Reference,
  { subject, artifactType, note = 'x' }: Artifact,
): Promise<Descriptor> {
  const empty = Buffer.from('{}');
  const config = { ...blobOf(empty, artifactType === undefined ? SBOM : 'application/vnd.oci.empty.v1+json') };
  await client.pushBlob({ registry: host, repository }, config, () => chunked(empty), []);
  const annotations = { note };
  const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, artifactType, config, layers: [config], subject, annotations };
  const bytes = Buffer.from(JSON.stringify(manifest));
  await client.pushManifest({ registry: host, repository }, bytes, MEDIA_TYPE.manifest);
  return { ...blobOf(bytes, MEDIA_TYPE.manifest), artifactType: artifactType ?? config.mediaType, annotations };
}
/** Sorted, and as plain objects. */
const byDigest = (list: readonly Descriptor[]): unknown =>
  list.map((each) => JSON.stringify(each, ['mediaType', 'digest', 'size', 'artifactType', 'annotations', 'note'])).toSorted();

for (const [way, host] of [
  ['api', () => api.host],
  ['tag', () => registry.host],
] as const) {
  describe(`referrers by ${way}`, () => {
    test('pushManifest() makes a manifest with a subject one of its referrers, which can be chosen by type', async () => {
      await using client = openTestClient();
      const { reference, subject } = await subjectAt(client, host());
      const question = { subject: subject.digest };
      assert.deepEqual(await client.referrers(reference, question), { referrers: [], from: way });
      const signature = await refer(client, reference, { subject, artifactType: SIGNATURE });
      const sbom = await refer(client, reference, { subject });
      await refer(client, reference, { subject });
      const { referrers, from } = await client.referrers(reference, question);
      assert.deepEqual([byDigest(referrers), from], [byDigest([signature, sbom]), way]);
      for (const artifactType of [SIGNATURE, SBOM]) {
        assert.deepEqual(
          (await client.referrers(reference, { ...question, artifactType })).referrers.map((each) => each.artifactType),
          [artifactType],
        );
      }
      assert.deepEqual((await client.referrers(reference, { ...question, artifactType: 'application/x.none' })).referrers, []);
    });
  });
}

test('referrers() follows pages, and chooses where the registry does not', async () => {
  await using client = openTestClient();
  const { reference, subject } = await subjectAt(client, api.host);
  for (let index = 0; index < 5; index += 1) await refer(client, reference, { subject, artifactType: SIGNATURE, note: String(index) });
  await refer(client, reference, { subject, artifactType: SBOM });
  api.pageSize = 2;
  api.filters = false;
  api.requests.length = 0;
  const { referrers } = await client.referrers(reference, { subject: subject.digest, artifactType: SIGNATURE });
  assert.deepEqual([referrers.length, api.requests.length], [5, 3]);
});

for (const link of [
  'http://evil.example/v2/x',
  '//127.0.0.1:1/v2/x',
  'http://u:p@127.0.0.1/v2/',
  '/internal/metadata',
  'https://169.254.169.254/v2/',
]) {
  test(`referrers() goes no further where the next page is ${link}`, async () => {
    await using client = openTestClient({ dockerConfigDir: dockerConfig({ auths: { [api.host]: basicAuth('ann', 'SECRET') } }) });
    const { reference, subject } = await subjectAt(client, api.host);
    for (const note of ['1', '2']) await refer(client, reference, { subject, note });
    Object.assign(api, { pageSize: 1, link });
    await assert.rejects(client.referrers(reference, { subject: subject.digest }), {
      code: 'ERR_TSBUILD_REGISTRY_ERROR',
      message: /: the list goes on at another host$/,
    });
  });
}

test('referrers() gives up on a list without end', async () => {
  await using client = openTestClient();
  const { reference, subject } = await subjectAt(client, api.host);
  for (const note of ['1', '2']) await refer(client, reference, { subject, note });
  Object.assign(api, { pageSize: 1, link: `/v2/${reference.repository}/referrers/${subject.digest}` });
  api.requests.length = 0;
  await assert.rejects(client.referrers(reference, { subject: subject.digest }), { message: /: the list does not end$/ });
  assert.equal(api.requests.length, 100);
});

test('referrers() refuses a tag that is no index, and passes on that the registry is ill', async () => {
  await using client = openTestClient();
  const { reference, subject } = await subjectAt(client, registry.host);
  await pushImage(client, { ...reference, tag: subject.digest.replace(':', '-') }, makeImage('arm64'));
  await assert.rejects(client.referrers(reference, { subject: subject.digest }), {
    code: 'ERR_TSBUILD_REGISTRY_ERROR',
    message: /is no index$/,
  });
  await assert.rejects(refer(client, reference, { subject }), { message: /is no index$/ });
  proxy.break({ path: /referrers/, times: 9, fault: { kind: 'answer', status: 401 } });
  const ill = client.referrers({ registry: proxy.host, repository: reference.repository }, { subject: subject.digest });
  await assert.rejects(ill, { code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED' });
});

test('pushManifest() adds to the tag again where another client has put its own list there meanwhile', async () => {
  await using client = openTestClient();
  const { reference, subject } = await subjectAt(client, registry.host);
  const first = await refer(client, reference, { subject, note: 'first' });
  // Somebody read the list before, and puts it after: the first PUT of the tag is lost.
  const tag = `sha256-${subject.digest.slice('sha256:'.length)}`;
  proxy.break({ method: 'PUT', path: new RegExp(tag), fault: { kind: 'answer', status: 201 } });
  const second = await refer(client, { ...reference, registry: proxy.host }, { subject, note: 'second' });
  const { referrers } = await client.referrers(reference, { subject: subject.digest });
  assert.deepEqual(byDigest(referrers), byDigest([first, second]));
});
