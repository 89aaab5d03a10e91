/** Published ports and shared networks of containers. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { judgeImages } from './_judges.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
let www: string;

before(async () => {
  world = await makeWorld();
  www = world.context({ 'index.html': 'served from inside\n', big: Buffer.alloc(5 << 20, 'x') });
});
after(async () => await world[Symbol.asyncDispose]());
afterEach(async () => {
  const names = JSON.parse(await world.succeed(['ps', '-a', '--format', 'json'])) as { id: string }[];
  for (const { id } of names) await world.succeed(['rm', '-f', id]);
});

async function serve(name: string, ...flags: string[]): Promise<number> {
  const volume = ['-v', `${path.resolve(www)}:/www:ro`];
  await world.succeed(['run', '-d', '--name', name, ...volume, ...flags, 'busybox', 'httpd', '-f', '-h', '/www', '-p', '80']);
  return Number((await world.succeed(['port', name, '80/tcp'])).split(':')[1]);
}

async function get(port: number, file = 'index.html', host = '127.0.0.1'): Promise<string> {
  for (let tries = 0; ; tries++) {
    const chunks: Buffer[] = [];
    const ended = await new Promise<string>((resolve) => {
      const socket = connect(port, host, () => socket.write(`GET /${file} HTTP/1.0\r\n\r\n`));
      socket.on('data', (data) => chunks.push(data));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
      socket.on('close', () => resolve('closed'));
    });
    const text = Buffer.concat(chunks).toString('latin1');
    // The server in the container may not listen yet.
    if (text !== '' || tries === 40) return text === '' ? ended : (text.split('\r\n\r\n')[1] ?? '');
    await sleep(50);
  }
}

describe('tsbuild run -p', () => {
  test('leads a port of this machine into the container, as long as that runs', async () => {
    const port = await serve('web', '-p', '0:80', '--memory=512m');
    assert.equal(await get(port), 'served from inside\n');
    assert.equal((await get(port, 'big')).length, 5 << 20);
    const many = await Promise.all(Array.from({ length: 40 }, async () => await get(port)));
    assert.deepEqual(new Set(many), new Set(['served from inside\n']));
    assert.match(await world.succeed(['ps']), new RegExp(`0\\.0\\.0\\.0:${port}->80/tcp`));
    await world.succeed(['stop', 'web']);
    assert.equal(await get(port), 'ECONNREFUSED');
  });

  test('listens on the address that was asked for and no other', async () => {
    const port = await serve('local', '-p', '127.0.0.1::80');
    assert.equal(await get(port), 'served from inside\n');
    assert.match(await world.succeed(['port', 'local']), /^80\/tcp -> 127\.0\.0\.1:\d+$/);
    assert.equal(await get(port, 'index.html', '127.0.0.2'), 'ECONNREFUSED');
  });

  test('does not reach a server of the container that listens on its loopback only', async () => {
    const volume = ['-v', `${path.resolve(www)}:/www:ro`];
    await world.succeed([
      'run',
      '-d',
      '--name',
      'inner',
      ...volume,
      '-p',
      '0:80',
      'busybox',
      'httpd',
      '-f',
      '-h',
      '/www',
      '-p',
      '127.0.0.1:80',
    ]);
    const port = Number((await world.succeed(['port', 'inner', '80'])).split(':')[1]);
    await sleep(500);
    assert.notEqual(await get(port), 'served from inside\n');
  });

  test('a port that is taken is an error before anything runs', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
    const { port } = server.address() as { port: number };
    const result = await world.tsbuild(['run', '-d', '-p', `${port}:80`, 'busybox', 'sleep', '9']);
    server.close();
    assert.equal(result.code, 1);
    assert.match(result.stderr, /ERR_TSBUILD_NETWORK_SETUP.*the port is taken/);
    assert.equal(await world.succeed(['ps', '-a', '-q']), '');
  });

  test('passes datagrams in both directions', { timeout: 60_000 }, async () => {
    // The machine's own node, with its libraries.
    const places = new Set(['/usr', '/lib', '/lib64', path.dirname(process.execPath)]);
    const volumes = [...places].filter((place) => existsSync(place)).flatMap((place) => ['-v', `${place}:${place}:ro`]);
    const script = "const s = require('dgram').createSocket('udp4'); s.on('message', (m, r) => s.send(m, r.port, r.address)); s.bind(5353)";
    const echo = [...volumes, '-p', '127.0.0.1:0:5353/udp', 'busybox', process.execPath, '-e', script];
    await world.succeed(['run', '-d', '--name', 'echo', ...echo]);
    const port = Number((await world.succeed(['port', 'echo', '5353/udp'])).split(':')[1]);
    const client = createSocket('udp4');
    const answer = new Promise<string>((resolve) => client.once('message', (data) => resolve(data.toString())));
    const timer = setInterval(() => client.send('ping', port, '127.0.0.1'), 200);
    assert.equal(await answer, 'ping');
    clearInterval(timer);
    client.close();
  });

  test('-P publishes what the image exposes', async () => {
    await world.succeed(['-t', 'exposes:1', world.context({ Dockerfile: 'FROM busybox\nEXPOSE 80 53/udp\n' })]);
    await world.succeed(['run', '-d', '-P', '--name', 'all', 'exposes:1', 'sleep', '100']);
    assert.match(
      await world.succeed(['port', 'all']),
      /^80\/tcp -> 0\.0\.0\.0:\d+\n53\/udp -> 0\.0\.0\.0:\d+$|^53\/udp -> .*\n80\/tcp -> .*$/,
    );
  });

  test('refuses what is no port, and ports of a network that is not the container’s', async () => {
    for (const port of ['x', '0', '80:0', '70000', '1-3:4-5', '1.2.3:80:80', '80/sctp', '']) {
      const { code, stderr } = await world.tsbuild(['run', '-p', port, 'busybox', 'true']);
      assert.equal(code, 2, port);
      assert.match(stderr, /ERR_TSBUILD_USAGE/);
    }
    for (const network of ['none', 'host']) {
      assert.equal((await world.tsbuild(['run', '-p', '80', '--network', network, 'busybox', 'true'])).code, 2);
    }
  });
});

describe('tsbuild run --network', () => {
  test('container:NAME shares the network of one that runs', async () => {
    await serve('web', '-p', '0:80');
    const script = 'for i in 1 2 3 4 5 6 7 8 9; do wget -q -O - http://127.0.0.1/ && break; sleep 0.1; done';
    assert.equal(await world.succeed(['run', '--network', 'container:web', 'busybox', 'sh', '-c', script]), 'served from inside');
    await world.succeed(['stop', 'web']);
    assert.match((await world.tsbuild(['run', '--network', 'container:web', 'busybox', 'true'])).stderr, /does not run/);
    assert.match((await world.tsbuild(['run', '--network', 'container:nobody', 'busybox', 'true'])).stderr, /CONTAINER_NOT_FOUND/);
    assert.equal((await world.tsbuild(['run', '--network', 'overlay', 'busybox', 'true'])).code, 2);
  });
});

test('every image of this suite passes the judges', { timeout: 10 * 60_000 }, async () => {
  assert.ok((await judgeImages(world)) > 0);
});
