import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

async function failing(dockerfile: string, flags: readonly string[]): Promise<{ stderr: string; seconds: number }> {
  const startedAt = performance.now();
  const args = ['-t', 'late', '--no-cache', '--network', 'none', ...flags, world.context({ Dockerfile: dockerfile })];
  const { code, stderr } = await world.tsbuild(args);
  assert.equal(code, 1, stderr);
  assert.equal((await world.tsbuild(['inspect', 'late'])).code, 1, 'nothing was named');
  return { stderr, seconds: (performance.now() - startedAt) / 1000 };
}

test('X10 --step-timeout stops a step that hangs, and shows where it was', async () => {
  const { stderr, seconds } = await failing('FROM busybox\nRUN true\nRUN echo almost there; sleep 60\n', ['--step-timeout', '1s']);
  assert.match(stderr, /ERR_TSBUILD_TIMEOUT: RUN echo almost there; sleep 60 was stopped: it took longer than 1s \(--step-timeout\)/);
  assert.match(stderr, /Dockerfile:3/);
  assert.match(stderr, /almost there/);
  assert.ok(seconds < 9, `${seconds} s: SIGTERM was enough`);
});

test('X10 a step that ignores SIGTERM is killed after a grace of ten seconds, with all that it started', async () => {
  const run = 'trap "echo not yet" TERM; (trap "" TERM; setsid sleep 60 &); while :; do sleep 60 & wait; done';
  const { stderr, seconds } = await failing(`FROM busybox\nRUN ${run}\n`, ['--step-timeout', '500ms']);
  assert.match(stderr, /ERR_TSBUILD_TIMEOUT/);
  assert.match(stderr, /not yet/);
  assert.ok(seconds > 10 && seconds < 30, `${seconds} s`);
});

test('a step may clean up when its time is over', async () => {
  const { stderr } = await failing('FROM busybox\nRUN trap "echo cleaned up; exit 0" TERM; sleep 60\n', ['--step-timeout', '1s']);
  assert.match(stderr, /ERR_TSBUILD_TIMEOUT/);
  assert.match(stderr, /cleaned up/);
});

test('--timeout stops the steps that run when the time of the build is over, and names one of them', async () => {
  const dockerfile = 'FROM busybox AS a\nRUN sleep 61\nFROM busybox\nRUN sleep 1\nRUN sleep 62\nCOPY --from=a /etc/passwd /x\n';
  const { stderr, seconds } = await failing(dockerfile, ['--timeout', '2.5s', '--jobs', '2']);
  assert.match(stderr, /ERR_TSBUILD_TIMEOUT: RUN sleep 6[12] was stopped: the build took longer than 2.5s \(--timeout\)/);
  assert.match(stderr, /Dockerfile:[25]\n/);
  assert.ok(seconds < 12);
});

test('--timeout ends what is no step, too', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  try {
    const { port } = silent.address() as AddressInfo;
    const { stderr, seconds } = await failing(`FROM 127.0.0.1:${port}/nothing:1\n`, ['--timeout', '1s']);
    assert.match(stderr, /ERR_TSBUILD_TIMEOUT: Cannot finish the build: it took longer than 1s \(--timeout\)/);
    assert.ok(seconds < 9);
  } finally {
    silent.closeAllConnections();
    silent.close();
  }
});

test('a build that is done in time knows nothing of it', async () => {
  const context = world.context({ Dockerfile: 'FROM busybox\nRUN true\n' });
  await world.succeed(['-t', 'quick', '--no-cache', '--network', 'none', '--timeout', '1h30m', '--step-timeout', '5m', context]);
});

test('times that are none are bad usage', async () => {
  const context = world.context({ Dockerfile: 'FROM busybox\n' });
  for (const text of ['', '0', '0s', '-1s', '5', 'soon', '5 m', '1h30', '9999999h']) {
    for (const flag of ['timeout', 'step-timeout']) {
      const { code, stderr } = await world.tsbuild([`--${flag}=${text}`, context]);
      assert.equal(code, 2, `--${flag}=${text}: ${stderr}`);
      assert.match(stderr, new RegExp(`as --${flag}: not a time`));
    }
  }
});
