import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeWorld, type World } from './_world.ts';

let world: World;
let server: Server;
let base = '';
/** Path → how often it was asked for, and how often it was answered whole. */
const asked = new Map<string, number>();
let body = 'first';
let tar = Buffer.alloc(0);

before(async () => {
  world = await makeWorld();
  tar = execFileSync('tar', ['-c', '-C', world.context({ inside: 'in' }), 'inside']);
  server = createServer((request, response) => {
    const { url = '' } = request;
    asked.set(url, (asked.get(url) ?? 0) + 1);
    const headers = { 'last-modified': 'Thu, 01 Jan 2015 00:00:00 GMT', etag: `"${body}"` };
    const steps = /^\/redirect\/(\d+)/.exec(url)?.[1];
    if (steps !== undefined)
      response.writeHead(302, { location: steps === '0' ? '/dir/file.txt' : `/redirect/${Number(steps) - 1}` }).end();
    else if (url === '/to-file') response.writeHead(302, { location: 'file:///etc/passwd' }).end();
    else if (url === '/cut') {
      response.writeHead(200, { 'content-length': '100' });
      response.write('short', () => response.destroy());
    } else if (url === '/missing') response.writeHead(404).end();
    else if (url === '/a.tar') response.end(tar);
    else if (request.headers['if-none-match'] === headers.etag) response.writeHead(304).end();
    else response.writeHead(200, { ...headers, 'content-disposition': 'attachment; filename="../../evil"' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await world[Symbol.asyncDispose]();
});

const contextOf = (line: string) => world.context({ Dockerfile: `FROM busybox\n${line}\n` });

async function buildAndRun(line: string, script: string): Promise<string> {
  await world.succeed(['-t', 'url:1', contextOf(line)]);
  return await world.succeed(['run', 'url:1', 'sh', '-c', script]);
}

async function failing(line: string): Promise<string> {
  const result = await world.tsbuild([contextOf(line)]);
  assert.equal(result.code, 1, result.stderr);
  return result.stderr;
}

describe('ADD of a URL', () => {
  test('gives mode 0600, the time of Last-Modified, and the name of the path', async () => {
    assert.equal(
      await buildAndRun(`ADD ${base}/dir/file.txt?x=1 /d/`, 'cd /d && ls && stat -c "%a %u %Y" file.txt && cat file.txt'),
      'file.txt\n600 0 1420070400\nfirst',
    );
    assert.equal(await buildAndRun(`ADD --chmod=644 --chown=app ${base}/x /named`, 'stat -c "%a %U" /named'), '644 app');
  });

  test('names what has no name, and never takes a name that leads out', async () => {
    assert.equal(await buildAndRun(`ADD ${base}/ /d/`, 'ls /d'), '__unnamed__');
    assert.equal(await buildAndRun(`ADD ${base}/a%2Fb%2F..%2fc /d/`, 'ls /d'), 'c');
    assert.match(await failing(`ADD ${base}/a%2F..%2F /d/`), /no file name/);
    assert.match(await failing(`ADD ${base}/a%0Ab /d/`), /no file name/);
  });

  test('asks again by ETag, and takes the step from the cache while the content is the same', async () => {
    const line = `ADD ${base}/cached /c`;
    const first = await world.succeed([contextOf(line)]);
    assert.equal(await world.succeed([contextOf(line)]), first);
    assert.equal(asked.get('/cached'), 2);
    body = 'second';
    assert.notEqual(await world.succeed([contextOf(line)]), first);
    assert.equal(await buildAndRun(line, 'cat /c'), 'second');
  });

  test('a kept file that was damaged is fetched again', async () => {
    const line = `ADD ${base}/damaged /c`;
    await world.succeed([contextOf(line)]);
    const digest = createHash('sha256').update(body).digest('hex');
    execFileSync('sh', ['-c', 'echo evil > "$0"', path.join(world.root, 'cache/downloads/files', digest)]);
    await world.succeed(['--no-cache', '-t', 'url:1', contextOf(line)]);
    assert.equal(await world.succeed(['run', 'url:1', 'cat', '/c']), body);
  });

  test('--checksum decides, and spares the request where the step is cached', async () => {
    const digest = createHash('sha256').update(body).digest('hex');
    const line = `ADD --checksum=sha256:${digest} ${base}/summed /c`;
    await world.succeed([contextOf(line)]);
    await world.succeed([contextOf(line)]);
    assert.ok((asked.get('/summed') ?? 0) <= 1);
    assert.match(await failing(`ADD --checksum=sha256:${'0'.repeat(64)} ${base}/wrong /c`), /ERR_TSBUILD_DIGEST_MISMATCH/);
    assert.match(await failing(`ADD --checksum=md5:1 ${base}/x /c`), /not sha256/);
    assert.match(await failing(`ADD --checksum=sha256:${digest} Dockerfile /c`), /for one source that is a URL/);
  });

  test('an archive stays one unless --unpack says otherwise', async () => {
    assert.equal(await buildAndRun(`ADD ${base}/a.tar /d/`, 'ls /d'), 'a.tar');
    assert.equal(await buildAndRun(`ADD --unpack ${base}/a.tar /d/`, 'cat /d/inside'), 'in');
  });

  test('follows ten redirects and no more, and none to a file', async () => {
    assert.equal(await buildAndRun(`ADD ${base}/redirect/9 /r/`, 'cat /r/9'), body);
    assert.match(await failing(`ADD ${base}/redirect/10 /r/`), /more than 10 redirects/);
    assert.match(await failing(`ADD ${base}/to-file /r`), /a redirect leads from http to file:/);
  });

  test('a URL that fails is named without its password, with the line', async () => {
    const text = await failing(`ADD ${base.replace('//', '//me:hidden-word@')}/missing /r`);
    assert.match(text, /ERR_TSBUILD_FETCH_FAILED: Cannot fetch http:\/\/127\.0\.0\.1:\d+\/missing: the server answers 404/);
    assert.match(text, /Dockerfile:2/);
    assert.match(await failing(`ADD ${base}/cut /r`), /ERR_TSBUILD_FETCH_FAILED/);
    assert.match(await failing('ADD http://127.0.0.1:1/x /r'), /ECONNREFUSED/);
  });
});
