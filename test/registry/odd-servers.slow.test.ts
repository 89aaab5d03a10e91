/** X28: servers that speak another HTTP, or another kind of manifest, or know no DELETE. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, request as forward, type Server } from 'node:http';
import { createSecureServer } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { digestOf } from '../../src/oci/digest.ts';
import { makeCertificate } from './_certificate.ts';
import { startRegistry, type TestRegistry } from './_docker-registry.ts';
import { AMD64, blobOf, chunked, collect, makeImage, noise, openTestClient, pushImage, refOf } from './_images.ts';
import { countScenarios } from './_scenarios.ts';
import { startEmulatedRegistry } from './emulated-registry.ts';

const NAME = 'registry.example:5000';
const certificate = makeCertificate({ subjectAltName: 'DNS:registry.example' });
const directory = join(certificate.certificate, '..', 'certs.d');
let registry: TestRegistry;
/** Leads whoever asks for the name to `target`: this machine's own addresses would be spoken to without TLS. */
let proxy: Server;
let target = 0;
const ends: (() => void)[] = [];

before(async () => {
  mkdirSync(join(directory, NAME), { recursive: true });
  copyFileSync(certificate.certificate, join(directory, NAME, 'ca.crt'));
  registry = await startRegistry();
  proxy = createServer();
  proxy.on('connect', (_, socket) => {
    const upstream = connect(target, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    upstream.pipe(socket).pipe(upstream);
    for (const end of [upstream, socket]) end.on('error', () => {});
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  process.env['https_proxy'] = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
});
afterEach(() => {
  for (const end of ends.splice(0)) end();
});
after(async () => {
  delete process.env['https_proxy'];
  proxy.closeAllConnections();
  proxy.close();
  await registry.stop();
});

/** TLS in front of docker-registry; tells which versions of HTTP were spoken. */
async function startFront(allowHTTP1: boolean): Promise<Set<string>> {
  const spoken = new Set<string>();
  const files = { cert: readFileSync(certificate.certificate), key: readFileSync(certificate.key) };
  const server = createSecureServer({ ...files, allowHTTP1 }, (from, to) => {
    spoken.add(from.httpVersion);
    const { method, url: path } = from;
    const headers = { ...from.headers, 'x-forwarded-proto': 'https' };
    const onward = forward({ host: '127.0.0.1', port: registry.port, method, path, headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(to);
    });
    from.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  target = (server.address() as AddressInfo).port;
  ends.push(() => server.close());
  return spoken;
}

test('a server that speaks h2 and http/1.1 is spoken to by the one that we know', async () => {
  const spoken = await startFront(true);
  await using client = openTestClient({ certificatesDirs: [directory] });
  const image = makeImage();
  await pushImage(client, refOf(NAME, 'app:1'), image);
  assert.equal((await client.resolve(refOf(NAME, 'app:1'), AMD64)).manifest.layers.length, 1);
  const blob = blobOf(noise(5 << 20));
  await client.pushBlob(refOf(NAME, 'app:1'), blob, () => chunked(noise(5 << 20)), []);
  assert.ok((await collect(client.fetchBlob(refOf(NAME, 'app:1'), blob))).equals(noise(5 << 20)));
  assert.deepEqual([...spoken], ['1.1']);
  countScenarios('X28 servers', 1);
});

test('a server that speaks h2 alone is an error that says so', async () => {
  const spoken = await startFront(false);
  await using client = openTestClient({ certificatesDirs: [directory] });
  await assert.rejects(client.resolve(refOf(NAME, 'app:1'), AMD64), (error: Error & { code: string; hint: string }) => {
    assert.equal(error.code, 'ERR_TSBUILD_REGISTRY_UNREACHABLE');
    assert.match(error.message, /registry\.example:5000 .*: it speaks no HTTP\/1\.1/);
    return true;
  });
  assert.deepEqual([...spoken], []);
  countScenarios('X28 servers', 1);
});

/** As registries of 2015 did: signed, with the digest of what was signed, whatever is asked for. */
test('a registry that has schema 1 alone is an error that names it', async () => {
  const manifest = { schemaVersion: 1, name: 'app', tag: '1', architecture: 'amd64', fsLayers: [{ blobSum: digestOf('x') }], history: [] };
  const bytes = JSON.stringify({ ...manifest, signatures: [{ protected: 'e30' }] });
  const server = createServer((request, response) => {
    const isManifest = request.url?.includes('/manifests/') === true;
    const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
    response.writeHead(isManifest ? 200 : 404, { 'content-type': type, 'docker-content-digest': digestOf(JSON.stringify(manifest)) });
    response.end(isManifest ? bytes : '{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  await using client = openTestClient();
  await assert.rejects(client.resolve(refOf(`127.0.0.1:${(server.address() as AddressInfo).port}`, 'app:1'), AMD64), {
    code: 'ERR_TSBUILD_IMAGE_INVALID',
    message: /it is a Docker schema 1 manifest, which tsbuild does not read/,
  });
  countScenarios('X28 servers', 1);
});

test('a registry without DELETE gets none, whatever becomes of a push', async () => {
  for (const habits of [{}, { mount: 'ignored' }, { bodyMax: 1000 }] as const) {
    await using emulated = await startEmulatedRegistry(habits);
    await using client = openTestClient({ retry: { attempts: 2, baseMs: 1 } });
    const bytes = noise(100_000);
    const push = client.pushBlob(refOf(emulated.host, 'app:1'), blobOf(bytes), () => chunked(bytes), ['other']);
    if ('bodyMax' in habits) await assert.rejects(push);
    else await push;
    assert.ok(emulated.seen.length > 0);
    assert.deepEqual(
      emulated.seen.filter(({ method }) => method === 'DELETE'),
      [],
    );
  }
  countScenarios('X28 servers', 1);
});
