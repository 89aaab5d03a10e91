/** Ctrl-C, SIGTERM and SIGHUP while bytes go in or out: soon over, the shell's exit code, nothing left. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BIN, makeWorld, type World } from './_world.ts';

let world: World;
let fifo: string;
/** What it was asked, such as `GET blobs`. */
const asked: string[] = [];

/** Knows every image, has no blob, and finishes neither a download nor an upload. */
const registry = createServer((request, response) => {
  const [, kind = ''] = /^\/v2\/a\/(\w+)/.exec(request.url ?? '') ?? [];
  asked.push(`${request.method} ${kind}`);
  if (request.method === 'HEAD') response.writeHead(404).end();
  else if (request.method === 'POST') response.writeHead(202, { location: `${request.url}1` }).end();
  else if (kind === 'manifests') sendManifest(response);
  else if (kind === 'blobs' && request.method === 'GET') response.writeHead(200, { 'content-length': 1_000_000 }).write('x'.repeat(1000));
  else if (kind === '') response.end('{}');
});

function sendManifest(response: ServerResponse): void {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const blob = (digit: string, type: string) => ({
    mediaType: `application/vnd.oci.image.${type}`,
    digest: `sha256:${digit.repeat(64)}`,
    size: 1_000_000,
  });
  const manifest = { schemaVersion: 2, mediaType, config: blob('1', 'config.v1+json'), layers: [blob('2', 'layer.v1.tar+gzip')] };
  response.setHeader('content-type', mediaType).end(JSON.stringify(manifest));
}

before(async () => {
  world = await makeWorld();
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  fifo = path.join(world.directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  await world.succeed(['tag', 'busybox', image()]);
});
after(async () => {
  registry.closeAllConnections();
  registry.close();
  await world[Symbol.asyncDispose]();
});

const image = (tag = 'stored') => `127.0.0.1:${(registry.address() as AddressInfo).port}/a:${tag}`;

const CASES: readonly { readonly title: string; readonly args: () => string[]; readonly isBusy: () => boolean }[] = [
  { title: 'pull', args: () => ['pull', image('remote')], isBusy: () => asked.includes('GET blobs') },
  {
    title: 'build FROM what is not there yet',
    args: () => [world.context({ Dockerfile: `FROM ${image('remote')}\n` })],
    isBusy: () => asked.includes('GET blobs'),
  },
  { title: 'push', args: () => ['push', image()], isBusy: () => asked.some((what) => /P(UT|ATCH) blobs/.test(what)) },
  { title: 'import of standard input', args: () => ['import', '-', 'in:1'], isBusy: isIngesting },
  { title: 'import of a fifo', args: () => ['import', fifo, 'in:1'], isBusy: isIngesting },
  { title: 'save to a pipe that nobody reads', args: () => ['save', 'busybox'], isBusy: () => true },
];

function isIngesting(): boolean {
  return readdirSync(path.join(world.root, 'ingest')).length > 0;
}

for (const { title, args, isBusy } of CASES) {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    test(`${signal} ends ${title} with ${code} within a second`, async () => {
      asked.length = 0;
      const child = spawn(process.execPath, [BIN, ...args()], {
        env: { ...process.env, TSBUILD_ROOT: world.root },
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      const ended = new Promise<number | string | null>((resolve) => child.on('exit', (status, by) => resolve(status ?? by)));
      let messages = '';
      child.stderr.on('data', (data) => {
        messages += data;
      });
      // Reads nothing, so that the pipe fills.
      child.stdout.pause();
      await sleep(300);
      while (!isBusy() && child.exitCode === null) await sleep(20);
      await sleep(100);
      const started = performance.now();
      child.kill(signal);
      const outcome = await Promise.race([ended, sleep(5000, 'hangs')]);
      child.kill('SIGKILL');
      assert.equal(outcome, code, messages);
      assert.ok(performance.now() - started < 1000);
      assert.doesNotMatch(messages, /bug in tsbuild/);
      assert.deepEqual(readdirSync(path.join(world.root, 'ingest')), []);
    });
  }
}

test('import reads a fifo whose writer comes late, and says what a directory is', async () => {
  const tar = path.join(world.directory, 'busybox.tar');
  const importing = world.tsbuild(['import', fifo, 'late:1']);
  await sleep(300);
  execFileSync('sh', ['-c', 'cat "$1" > "$2"', 'sh', tar, fifo]);
  assert.equal((await importing).code, 0);
  const { code, stderr } = await world.tsbuild(['import', world.directory, 'dir:1']);
  assert.equal(code, 1);
  assert.match(stderr, /it is a directory/);
});
