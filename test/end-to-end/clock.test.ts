/** X17: the clock of the machine is wrong, or jumps, and times of files are: libfaketime tells it so, to everything but steps. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { FAKETIME, faked } from './_clock.ts';
import { copyState } from './_reference-build.ts';
import { BIN, makeWorld, type World } from './_world.ts';

const NOW = Math.floor(Date.now() / 1000);
/** What is copied is as old as it says: no image of these steps asks what time it is. */
const TIMES = {
  'of 1970': 0,
  'before 1970': -100_000,
  'of now, to the nanosecond': NOW + 0.123456789,
  'in ten years': NOW + 315_000_000,
  'of 2106': 4_300_000_000,
};
const CLOCKS = ['1970-01-01 00:00:10', '2001-09-09 01:46:40', '2038-01-19 03:14:08', '2106-02-07 06:28:16', '2200-01-01 00:00:00'];
const ZONES = ['UTC', 'Pacific/Kiritimati', 'America/St_Johns', 'no such zone'];

let world: World;
let context: string;
/** Has the base and no step. */
let fresh: string;
let states = 0;

before(async () => {
  world = await makeWorld();
  fresh = path.join(world.directory, 'fresh');
  copyState(world.root, fresh);
  const names = Object.keys(TIMES);
  context = world.context({
    Dockerfile: 'FROM busybox\nCOPY d /d\nWORKDIR /w\nCOPY --link d/0 /l/\nRUN ls /d > /list\n',
    ...Object.fromEntries(names.map((name, index) => [`d/${index}`, name])),
  });
  for (const [index, time] of Object.values(TIMES).entries()) utimesSync(path.join(context, `d/${index}`), time, time);
  utimesSync(path.join(context, 'd'), NOW - 1000, NOW - 1000);
});
after(async () => await world[Symbol.asyncDispose]());

function newState(): string {
  const state = path.join(world.directory, `state-${states++}`);
  copyState(fresh, state);
  return state;
}

interface ClockOptions {
  readonly clock?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly epoch?: 'none';
}

async function build(root: string, { clock, env = {}, epoch }: ClockOptions = {}): Promise<{ digest: string; steps: string }> {
  const image = 'type=image,name=timed:1';
  const dated = ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '-o', `${image},rewrite-timestamp=true`];
  const args = ['--progress=json', '--network=none', ...(epoch === 'none' ? ['-o', image] : dated), context];
  const { code, stdout, stderr } = await world.tsbuild(args, { root, env: { ...(clock === undefined ? {} : faked(`@${clock}`)), ...env } });
  assert.equal(code, 0, stderr);
  const ends = [...stderr.matchAll(/"kind":"step-end".*?"outcome":"(\w+)"/g)].map(([, outcome]) => outcome);
  return { digest: stdout.trim(), steps: [...new Set(ends.slice(-4))].join() };
}

describe('X17 the clock', { skip: FAKETIME === undefined ? 'libfaketime is not there' : false }, () => {
  test('X17 has no say in an image, nor has the time zone', async () => {
    const { digest } = await build(newState());
    for (const clock of CLOCKS) assert.equal((await build(newState(), { clock })).digest, digest, clock);
    for (const TZ of ZONES) assert.equal((await build(newState(), { env: { TZ } })).digest, digest, TZ);
  });

  test('X17 has no say in layers of files where nobody names a date', async () => {
    const layers = async (clock?: string): Promise<string[]> => {
      const root = newState();
      await build(root, { epoch: 'none', ...(clock === undefined ? {} : { clock }) });
      const { config } = JSON.parse(await world.succeed(['inspect', 'timed:1'], { root })) as {
        config: { rootfs: { diff_ids: string[] } };
      };
      // The base and the two COPYs: WORKDIR and RUN make files now.
      return [0, 1, 3].map((index) => config.rootfs.diff_ids[index] ?? '');
    };
    const right = await layers();
    assert.equal(new Set(right).size, 3);
    for (const clock of CLOCKS) assert.deepEqual(await layers(clock), right, clock);
  });

  test('X17 may say anything of a build before: its steps are found, and its images listed', async () => {
    const root = newState();
    const { digest, steps } = await build(root);
    assert.equal(steps, 'done');
    for (const clock of [...CLOCKS, ...CLOCKS.toReversed()]) {
      assert.deepEqual(await build(root, { clock }), { digest, steps: 'cached' }, clock);
      assert.match(await world.succeed(['images'], { root, env: faked(`@${clock}`) }), /^timed:1 /m);
      await world.succeed(['du'], { root, env: faked(`@${clock}`) });
      assert.match(await world.succeed(['builds', 'ls'], { root, env: faked(`@${clock}`) }), / done /);
    }
    assert.deepEqual(await build(root), { digest, steps: 'cached' });
    assert.equal(await world.succeed(['run', '--network=none', 'timed:1', 'cat', '/d/0'], { root }), 'of 1970');
  });

  test('X17 may jump by a year, on and back, while a step runs', async () => {
    const root = newState();
    const clock = path.join(world.directory, 'clock');
    writeFileSync(clock, '+0');
    const waiting = world.context({
      Dockerfile: 'FROM busybox\nCOPY f /f\nRUN --mount=type=cache,target=/c sleep 3; cat /f > /c/f; cat /c/f\n',
      f: 'jump',
    });
    const env = {
      ...process.env,
      TSBUILD_ROOT: root,
      ...{ LD_PRELOAD: FAKETIME, FAKETIME_DONT_FAKE_MONOTONIC: '1' },
      FAKETIME_NO_CACHE: '1',
      FAKETIME_TIMESTAMP_FILE: clock,
    };
    const child = spawn(process.execPath, [BIN, '--network=none', '--timeout=60s', '-t', 'jump:1', waiting], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
    const jumps = ['+1y', '-1y', '+0'];
    const timer = setInterval(() => writeFileSync(clock, jumps.shift() ?? '+1y'), 700);
    const code = await new Promise((resolve) => child.once('close', resolve));
    clearInterval(timer);
    assert.equal(code, 0, Buffer.concat(said).toString());
    assert.equal(jumps.length, 0, 'the clock has jumped');
    assert.equal(await world.succeed(['run', '--network=none', 'jump:1', 'cat', '/f'], { root }), 'jump');
  });
});
