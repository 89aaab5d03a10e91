import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BIN, makeWorld, type World } from './_world.ts';

/** More where there is time for it: CONTRIBUTING.md. */
const BUILDS = Number(process.env['TSBUILD_TEST_BUILDS'] ?? 16);

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

/** A RUN that counts how often it runs, in a cache that all steps of this name share. */
const counted = (name: string, command: string) =>
  `RUN --mount=type=cache,id=${name},target=/counts echo x >> /counts/${name} && ${command}`;

async function countOf(name: string): Promise<number> {
  const dockerfile = `FROM busybox\nRUN --mount=type=cache,id=${name},target=/counts wc -l < /counts/${name} > /count\nRUN cat /count\n`;
  const { code, stderr } = await world.tsbuild([
    '--progress=plain',
    '--no-cache',
    '--network=none',
    world.context({ Dockerfile: dockerfile }),
  ]);
  assert.equal(code, 0, stderr);
  return Number(/^#\d+ \d+\.\d+ (\d+)$/m.exec(stderr)?.[1]);
}

describe('steps of several processes', () => {
  test('K5 many builds of the same steps at once run each of them once', async () => {
    const dockerfile = ['FROM busybox', counted('first', 'sleep 1'), counted('second', 'head -c8 /dev/urandom > /random')].join('\n');
    const contexts = Array.from({ length: BUILDS }, () => world.context({ Dockerfile: dockerfile }));
    const digests = await Promise.all(contexts.map(async (context) => await world.succeed(['--network=none', context])));
    assert.deepEqual([await countOf('first'), await countOf('second')], [1, 1]);
    assert.equal(new Set(digests).size, 1, 'and so all have the same result');
    assert.deepEqual(readdirSync(path.join(world.root, 'cache/running')), []);
  });

  test('who waits runs the step when its holder is killed, or fails', async () => {
    const hang = 'if [ "$(wc -l < /counts/killed)" = 1 ]; then sleep 600; fi';
    const context = world.context({ Dockerfile: `FROM busybox\n${counted('killed', hang)}\n` });
    const holder = build(context);
    await until(async () => (await countOf('killed').catch(() => 0)) === 1);
    const waiter = build(context);
    await sleep(1500);
    assert.equal(waiter.exitCode, null, 'it waits');
    holder.kill('SIGKILL');
    assert.equal(await exitOf(waiter), 0);
    assert.equal(await countOf('killed'), 2);

    const failing = world.context({
      Dockerfile: `FROM busybox\n${counted('failed', 'sleep 1 && [ "$(wc -l < /counts/failed)" -gt 1 ]')}\n`,
    });
    const codes = await Promise.all([exitOf(build(failing)), exitOf(build(failing))]);
    assert.deepEqual(codes.sort(), [0, 1]);
  });

  test('builds that want the same steps in opposite orders never wait for each other', { timeout: 120_000 }, async () => {
    const stages = ['a', 'b', 'c'].map(
      (name) => `FROM busybox AS ${name}\n${counted(`order-${name}`, `sleep 0.3; echo ${name} > /${name}`)}\n`,
    );
    const files = ['a', 'b', 'c'].map((name) => `COPY --from=${name} /${name} /\n`);
    const dockerfiles = [stages, stages.toReversed()].map((each) => [...each, 'FROM busybox\n', ...files].join(''));
    const builds = dockerfiles.flatMap((Dockerfile) =>
      ['1', '2', '3'].map((jobs) => build(world.context({ Dockerfile }), ['--jobs', jobs])),
    );
    assert.deepEqual(await Promise.all(builds.map(exitOf)), Array(6).fill(0));
    for (const name of ['a', 'b', 'c']) assert.equal(await countOf(`order-${name}`), 1, name);
  });

  test('builds without the cache run the step each', async () => {
    const context = world.context({ Dockerfile: `FROM busybox\n${counted('uncached', 'sleep 0.5')}\n` });
    assert.deepEqual(await Promise.all([1, 2, 3].map(async () => await exitOf(build(context, ['--no-cache'])))), [0, 0, 0]);
    assert.equal(await countOf('uncached'), 3);
  });
});

function build(context: string, args: readonly string[] = []): ChildProcess {
  const env = { ...process.env, TSBUILD_ROOT: world.root };
  return spawn(process.execPath, [BIN, '--network=none', ...args, context], { env, stdio: 'ignore' });
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  return await new Promise((resolve) => child.once('exit', resolve));
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    if (await isSo()) return;
    await sleep(100);
  }
  assert.fail('it did not come to that');
}
