import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { makeWorld, type World } from './_world.ts';

let world: World;
let server: Server;
let base = '';
const bodies = new Map<string, Buffer | string>();
const asked: string[] = [];
const authorizations: (string | undefined)[] = [];

before(async () => {
  world = await makeWorld();
  const files = { Dockerfile: 'FROM busybox\nCOPY a /a\n', 'sub/Other': 'FROM busybox\nCOPY a /other\n', a: 'A' };
  bodies.set('/app.tgz', execFileSync('tar', ['-c', '-z', '-C', world.context(files), '.']));
  bodies.set('/Dockerfile', 'FROM busybox\nRUN echo plain > /plain\n');
  bodies.set('/WithCopy', 'FROM busybox\nCOPY mine /\n');
  server = createServer(({ url = '', headers }, response) => {
    asked.push(url);
    authorizations.push(headers.authorization);
    const body = bodies.get(url);
    if (body === undefined) response.writeHead(404).end();
    else if (headers['if-none-match'] === '"1"') response.writeHead(304).end();
    else response.writeHead(200, { etag: '"1"' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await world[Symbol.asyncDispose]();
});

test('a context that is the address of a tar is unpacked, and -f names a file in it', async () => {
  await world.succeed(['-t', 'remote:1', `${base}/app.tgz`]);
  assert.equal(await world.succeed(['run', 'remote:1', 'cat', '/a']), 'A');
  await world.succeed(['-t', 'remote:1', '-f', '../sub/Other', `${base}/app.tgz`]);
  assert.equal(await world.succeed(['run', 'remote:1', 'cat', '/other']), 'A');
  assert.match((await world.tsbuild(['--progress', 'plain', `${base}/app.tgz`])).stderr, /CACHED/);
});

test('a context that is the address of a text is the Dockerfile, and there are no files', async () => {
  await world.succeed(['-t', 'remote:2', `${base}/Dockerfile`]);
  assert.equal(await world.succeed(['run', 'remote:2', 'cat', '/plain']), 'plain');
  assert.match((await world.tsbuild([`${base}/WithCopy`])).stderr, /not in the build context/);
  assert.match((await world.tsbuild(['-f', '-', `${base}/Dockerfile`], { input: 'FROM busybox\n' })).stderr, /it is no tar/);
});

test('-f with an address reads the Dockerfile from there, and the context from here', async () => {
  await world.succeed(['-t', 'remote:3', '-f', `${base}/WithCopy`, world.context({ mine: 'mine' })]);
  assert.equal(await world.succeed(['run', 'remote:3', 'cat', '/mine']), 'mine');
});

test('--build-context with the address of a tar is opened only where a step reads it', async () => {
  const context = world.context({ Dockerfile: 'FROM busybox AS unused\nCOPY --from=far a /\nFROM busybox\nRUN true\n' });
  asked.length = 0;
  await world.succeed(['--build-context', `far=${base}/app.tgz`, context]);
  assert.deepEqual(asked, []);
  await world.succeed(['-t', 'remote:4', '--target', 'unused', '--build-context', `far=${base}/app.tgz`, context]);
  assert.equal(await world.succeed(['run', 'remote:4', 'cat', '/a']), 'A');
});

test('an address that does not answer is told without its query', async () => {
  const { stderr, code } = await world.tsbuild([`${base}/missing.tar?token=hidden`]);
  assert.equal(code, 1);
  assert.match(stderr, /FETCH_FAILED/);
  assert.doesNotMatch(stderr, /hidden/);
});

test('HTTP_AUTH_TOKEN_host and HTTP_AUTH_HEADER_host are sent to that host alone', async () => {
  const { host } = new URL(base);
  const env = { TOKEN: 'abc', HEADER: 'Custom xyz' };
  authorizations.length = 0;
  await world.succeed(['--secret', `id=HTTP_AUTH_TOKEN_${host},env=TOKEN`, `${base}/app.tgz`], { env });
  assert.deepEqual(authorizations, ['Bearer abc']);
  const context = world.context({
    Dockerfile: `FROM busybox\nADD ${base}/Dockerfile /d\nADD ${base.replace('127.0.0.1', 'localhost')}/WithCopy /e\n`,
  });
  authorizations.length = 0;
  await world.succeed(['--secret', `id=HTTP_AUTH_HEADER_${host},env=HEADER`, context], { env });
  assert.deepEqual(authorizations, ['Custom xyz', undefined]);
});

test('--check of a remote context reads its Dockerfile, and says nothing about ignored files', async () => {
  assert.match(await world.succeed(['--check', `${base}/app.tgz`]), /nothing found/);
  assert.match(await world.succeed(['--call', 'outline', '-f', `${base}/Dockerfile`, world.context({})]), /^$/);
});
