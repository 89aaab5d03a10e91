import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { makeCertificate } from './_certificate.ts';
import { startRegistry } from './_docker-registry.ts';
import { AMD64, makeImage, openTestClient, pushImage, refOf } from './_images.ts';
import { temporaryDirectory } from './_temporary.ts';

let server: Server;
let asked: string[];
/** Where the proxy really connects to. */
let target = 0;
/** What it answers to CONNECT. */
let answer = '200 OK';

const NAMES = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]);
const before = new Map(NAMES.map((name) => [name, process.env[name]]));

beforeEach(async () => {
  asked = [];
  answer = '200 OK';
  server = createServer((_, response) => response.writeHead(501).end());
  server.on('connect', (request, socket) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    if (answer !== '200 OK') return void socket.end(`HTTP/1.1 ${answer}\r\n\r\n`);
    const upstream = connect(target, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    upstream.pipe(socket).pipe(upstream);
    for (const end of [upstream, socket]) end.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  for (const name of NAMES) delete process.env[name];
  process.env.HTTP_PROXY = `http://me:pw@127.0.0.1:${port()}`;
});
afterEach(() => {
  for (const [name, value] of before) {
    delete process.env[name];
    if (value !== undefined) process.env[name] = value;
  }
  server.closeAllConnections();
  server.close();
});
const port = (): number => (server.address() as AddressInfo).port;

const plain = () => openTestClient({ insecureRegistries: ['registry.example:5000'], retry: { attempts: 1 } });
const reference = refOf('registry.example:5000', 'x:1');

test('a registry that is not on this machine is reached through the proxy of the environment', async () => {
  await using registry = await startRegistry();
  target = registry.port;
  await using client = plain();
  await pushImage(client, reference, makeImage());
  assert.equal((await client.resolve(reference, AMD64)).manifest.layers.length, 1);
  assert.deepEqual([...new Set(asked)], ['registry.example:5000 Basic bWU6cHc=']);
});

test('a registry that speaks TLS is reached through HTTPS_PROXY, and its certificate is checked behind the proxy', async () => {
  const good = makeCertificate({ subjectAltName: 'DNS:registry.example' });
  await using registry = await startRegistry({ tls: good });
  target = registry.port;
  process.env['HTTPS_PROXY'] = process.env['HTTP_PROXY'];
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'registry.example:5000'));
  copyFileSync(good.certificate, join(directory, 'registry.example:5000/ca.crt'));
  await using client = openTestClient({ certificatesDirs: [directory] });
  await pushImage(client, reference, makeImage());
  assert.equal((await client.resolve(reference, AMD64)).manifest.layers.length, 1);
  assert.deepEqual([...new Set(asked)], ['registry.example:5000 Basic bWU6cHc=']);
  await using untrusting = openTestClient();
  await assert.rejects(untrusting.resolve(reference, AMD64), { message: /its certificate is not trusted/ });
  await assert.rejects(client.resolve(refOf('other.example:5000', 'x:1'), AMD64), { message: /its certificate is/ });
});

test('a registry on this machine is never reached through a proxy', async () => {
  await using registry = await startRegistry();
  await using client = openTestClient();
  await pushImage(client, refOf(registry.host, 'x:1'), makeImage());
  assert.deepEqual(asked, []);
});

test('NO_PROXY is heeded', async () => {
  process.env.NO_PROXY = 'registry.invalid';
  await using client = openTestClient({ insecureRegistries: ['registry.invalid:5000'] });
  await assert.rejects(client.resolve(refOf('registry.invalid:5000', 'x:1'), AMD64), {
    code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE',
    message: /registry\.invalid:5000: /,
  });
  assert.deepEqual(asked, []);
});

test('what the proxy refuses is told as such, with its host and without its password', async () => {
  process.env['HTTP_PROXY'] = `http://me:SECRET@127.0.0.1:${port()}`;
  await using client = plain();
  for (const [status, hint] of [
    ['407 Proxy Authentication Required', /user:password@host:port/],
    ['403 Forbidden', undefined],
  ] as const) {
    answer = status;
    await assert.rejects(client.resolve(reference, AMD64), (error: Error & { code: string; hint?: string }) => {
      assert.equal(error.code, 'ERR_TSBUILD_REGISTRY_UNREACHABLE');
      assert.equal(
        error.message,
        `Cannot pull registry.example:5000/x:1: registry.example:5000 through the proxy 127.0.0.1:${port()}: the proxy answered ${status.slice(0, 3)}`,
      );
      if (hint !== undefined) assert.match(error.hint ?? '', hint);
      assert.doesNotMatch(JSON.stringify([error, error.stack, String(error.cause)]), /SECRET|U0VDUkVU|OlNFQ1JFV/);
      return true;
    });
  }
  process.env['HTTP_PROXY'] = 'http://me:SECRET@127.0.0.1:1';
  await assert.rejects(client.resolve(reference, AMD64), {
    message: /registry\.example:5000 through the proxy 127\.0\.0\.1:1: the connection was refused$/,
  });
});
