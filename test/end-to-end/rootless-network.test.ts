/** Steps and containers of an ordinary user on a private network. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeUserWorld, type UserWorld } from './_rootless.ts';
import { runCommand } from './_world.ts';

const TUN = '/dev/net/tun';

describe('tsbuild as an ordinary user, with a private network', () => {
  let world: UserWorld;
  let mode = 0;

  before(async () => {
    assert.ok(existsSync(TUN), `${TUN} is missing: without it no ordinary user has a network`);
    mode = statSync(TUN).mode & 0o777;
    // udev's mode, which a machine without udev lacks.
    chmodSync(TUN, 0o666);
    world = await makeUserWorld();
  });
  after(async () => {
    chmodSync(TUN, mode);
    await world[Symbol.asyncDispose]();
  });

  it('gives every step an address of its own, a way out and a name server', async () => {
    const context = world.context({
      Dockerfile:
        "FROM busybox\nRUN cat /etc/resolv.conf && ip route && ip -4 -o addr show eth0 | sed 's/.*inet/one/'\nRUN ip -4 -o addr show eth0 | sed 's/.*inet/two/'\n",
    });
    const { code, stderr } = await world.tsbuild(['--progress=plain', context]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /nameserver 10\.0\.2\.3\n/);
    assert.match(stderr, /default via 10\.\d+\.\d+\.\d+ dev eth0/);
    const [, one] = /one (\S+)/.exec(stderr) ?? [];
    const [, two] = /two (\S+)/.exec(stderr) ?? [];
    assert.ok(one !== undefined && two !== undefined && one !== two, stderr);
  });

  it('publishes the ports of a container', async () => {
    await world.succeed([
      'run',
      '-d',
      '--name',
      'web',
      '-p',
      '127.0.0.1:0:80',
      'busybox',
      'sh',
      '-c',
      'mkdir /w; echo hello >/w/index.html; httpd -f -h /w -p 80',
    ]);
    try {
      const port = Number((await world.succeed(['port', 'web', '80/tcp'])).split(':')[1]);
      assert.match(await get(port), /hello\n$/);
    } finally {
      await world.succeed(['rm', '-f', 'web']);
    }
  });

  it('leaves no process behind', async () => {
    const processes = async () => (await runCommand('ps', ['-o', 'args=', '-U', String(world.user.uid)])).stdout;
    for (let wait = 0; wait < 250 && (await processes()) !== ''; wait++) await sleep(20);
    assert.equal(await processes(), '');
  });

  it('says what is missing where tap devices cannot be opened', async () => {
    chmodSync(TUN, 0o600);
    try {
      const { code, stderr } = await world.tsbuild([world.context({ Dockerfile: 'FROM busybox\nRUN echo offline\n' })]);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /ERR_TSBUILD_NETWORK_SETUP: Cannot give a step a network as an ordinary user: \/dev\/net\/tun cannot be opened \(EACCES\)/,
      );
      assert.match(stderr, /chmod 0666 \/dev\/net\/tun/);
    } finally {
      chmodSync(TUN, 0o666);
    }
  });
});

async function get(port: number): Promise<string> {
  for (let tries = 0; ; tries++) {
    let text = '';
    await new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('GET /index.html HTTP/1.0\r\n\r\n'));
      socket.on('data', (data) => {
        text += String(data);
      });
      socket.on('error', () => resolve());
      socket.on('close', () => resolve());
    });
    // The server in the container may not listen yet.
    if (text !== '' || tries === 100) return text;
    await sleep(50);
  }
}
