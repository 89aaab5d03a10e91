/** `tsbuild run` by an ordinary user, with a range of ids and with one. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeUserWorld, ONE_RANGE, type UserWorld } from './_rootless.ts';

for (const [name, ranges] of [
  ['a range of ids', ONE_RANGE],
  ['one id', []],
] as const) {
  describe(`tsbuild run as a user with ${name}`, () => {
    let world: UserWorld;
    before(async () => {
      world = await makeUserWorld({ ranges });
    });
    after(async () => await world[Symbol.asyncDispose]());

    const run = async (...args: string[]) => await world.tsbuild(['run', '--network', 'none', ...args]);

    test('gives the command a terminal of the container’s own', async () => {
      const { stdout } = await run('-t', 'busybox', 'sh', '-c', 'tty; : > /dev/tty && echo controlling; : > /dev/console && echo console');
      assert.equal(stdout, '/dev/pts/0\r\ncontrolling\r\nconsole\r\n');
    });

    test('mounts what the user can see, read-only all the way down where asked', async () => {
      const script =
        'cat /h > /dev/null && echo read; touch /h; ls /host/proc | wc -l; touch /host/tmp/x /host/dev/shm/x; touch /x; touch /run/x && echo run';
      const flags = ['-v', '/etc/passwd:/h:ro', '-v', '/:/host:ro', '--read-only', '--tmpfs', '/run'];
      const { stdout, stderr } = await run(...flags, 'busybox', 'sh', '-c', script);
      assert.match(stdout, /^read\n\d+\nrun\n$/);
      assert.equal(stderr.match(/Read-only file system/g)?.length, 4, stderr);
    });

    test('a file of the machine is as closed as it is to the user', async () => {
      const { stdout, stderr } = await run('-v', '/etc/shadow:/shadow', 'busybox', 'cat', '/shadow');
      assert.deepEqual([stdout, /Permission denied/.test(stderr)], ['', true]);
    });

    test('--privileged and --cap-add reach no further than the user namespace', async () => {
      const script =
        'mount -o remount,rw /proc/sys 2>/dev/null; echo 1 > /proc/sys/kernel/sysrq && echo wrote; date -s 2000-01-01 2>&1; mknod /n b 8 0 && cat /n | head -c 1';
      const { stdout } = await run('--privileged', '--cap-add', 'ALL', 'busybox', 'sh', '-c', script);
      assert.doesNotMatch(stdout, /wrote/);
      assert.match(stdout, /Operation not permitted/);
    });

    test('runs in the background, and is stopped', async () => {
      const script = 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.05; done';
      assert.match((await run('-d', '--name', 'bg', 'busybox', 'sh', '-c', script)).stdout, /^[0-9a-f]{64}\n$/);
      for (let tries = 0; tries < 100 && (await world.succeed(['logs', 'bg'])) !== 'ready'; tries++) await sleep(50);
      await world.succeed(['stop', 'bg']);
      assert.equal(await world.succeed(['wait', 'bg']), '3');
      assert.equal(await world.succeed(['logs', 'bg']), 'ready\nbye');
      await world.succeed(['rm', 'bg']);
      assert.deepEqual(readdirSync(path.join(world.root, 'containers')), ['lock']);
    });
  });
}
