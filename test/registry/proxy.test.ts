import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { startRegistry } from './_docker-registry.ts';
import { AMD64, makeImage, openTestClient, pushImage, refOf } from './_images.ts';

let server: Server;
let asked: string[];
/** Where the proxy really connects to. */
let target = 0;

beforeEach(async () => {
  asked = [];
  server = createServer((_, response) => response.writeHead(501).end());
  server.on('connect', (request, socket) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    const upstream = connect(target, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    upstream.pipe(socket).pipe(upstream);
    for (const end of [upstream, socket]) end.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  process.env.HTTP_PROXY = `http://me:pw@127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  delete process.env.HTTP_PROXY;
  delete process.env.NO_PROXY;
  server.closeAllConnections();
  server.close();
});

test('a registry that is not on this machine is reached through the proxy of the environment', async () => {
  await using registry = await startRegistry();
  target = registry.port;
  await using client = openTestClient({ insecureRegistries: ['registry.example:5000'] });
  const reference = refOf('registry.example:5000', 'x:1');
  await pushImage(client, reference, makeImage());
  assert.equal((await client.resolve(reference, AMD64)).manifest.layers.length, 1);
  assert.deepEqual([...new Set(asked)], ['registry.example:5000 Basic bWU6cHc=']);
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
