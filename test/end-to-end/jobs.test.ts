import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const NAMES = ['a', 'b', 'c', 'd', 'e'];

/** How many steps ran at once, as the steps themselves saw it. */
async function peakOf(jobs: string): Promise<number> {
  const step = 'RUN --mount=type=cache,id=jobs,target=/c touch /c/$N; echo "n=$(ls /c | grep -c step)"; sleep 0.4; rm /c/$N';
  const stages = NAMES.map((name) => `FROM busybox AS ${name}\nENV N=step-${name}\n${step}\n`);
  const last = `FROM busybox\n${NAMES.map((name) => `COPY --from=${name} /etc/passwd /${name}\n`).join('')}`;
  const context = world.context({ Dockerfile: [...stages, last].join('') });
  const { code, stderr } = await world.tsbuild(['--progress=plain', '--no-cache', '--network=none', '--jobs', jobs, context]);
  assert.equal(code, 0, stderr);
  const counts = [...stderr.matchAll(/ n=(\d+)$/gm)].map(([, count]) => Number(count));
  assert.ok(counts.length >= NAMES.length, stderr);
  return Math.max(...counts);
}

/** The RUNs of a build in the order in which they started. */
async function startsOf(dockerfile: string, jobs: string): Promise<string[]> {
  const context = world.context({ Dockerfile: dockerfile });
  const { code, stderr } = await world.tsbuild(['--progress=plain', '--no-cache', '--network=none', '--jobs', jobs, context]);
  assert.equal(code, 0, stderr);
  return [...stderr.matchAll(/^#\d+ \d+\.\d+ began (\S+)$/gm)].map(([, name = '']) => name);
}

const run = (name: string) => `RUN echo began ${name}; sleep 0.2\n`;

describe('--jobs', () => {
  test('so many RUNs are at work at once, of all stages, and no more', async () => {
    assert.equal(await peakOf('1'), 1);
    assert.equal(await peakOf('2'), 2);
    const peak = await peakOf('4');
    assert.ok(peak > 2 && peak <= 4, String(peak));
  });

  test('the stage with the longest chain behind it does not come last, wherever it is written', async () => {
    const shorts = NAMES.map((name) => `FROM busybox AS ${name}\n${run(name)}`);
    const chain = `FROM busybox AS chain\n${['1', '2', '3', '4'].map((number) => run(`chain${number}`)).join('')}`;
    const last = `FROM busybox\n${['chain', ...NAMES].map((name) => `COPY --from=${name} /etc/passwd /${name}\n`).join('')}`;
    const starts = await startsOf([...shorts, chain, last].join(''), '2');
    assert.equal(starts.length, 9);
    assert.ok(starts.indexOf('chain1') <= 2, starts.join());
    assert.ok(starts.indexOf('chain4') < 8, starts.join());
  });

  test('with one job stages follow each other in the order of the Dockerfile, every time', async () => {
    const stages = NAMES.map((name) => `FROM busybox AS ${name}\n${run(`${name}1`)}${run(`${name}2`)}`);
    const last = `FROM busybox\n${NAMES.toReversed()
      .map((name) => `COPY --from=${name} /etc/passwd /${name}\n`)
      .join('')}`;
    const expected = NAMES.flatMap((name) => [`${name}1`, `${name}2`]);
    for (let time = 0; time < 2; time++) assert.deepEqual(await startsOf([...stages, last].join(''), '1'), expected);
  });

  test('layers of the image are packed while later steps run; with one job, and those of other stages, not', async () => {
    const Dockerfile = `FROM busybox AS other\nRUN echo other > /o; sleep 0.1\nFROM busybox\nCOPY --from=other /o /o\nRUN sleep 3\n`;
    const packedBefore = async (...flags: readonly string[]): Promise<number> => {
      const { code, stderr } = await world.tsbuild([
        ...flags,
        '--progress=json',
        '--no-cache',
        '--network=none',
        world.context({ Dockerfile }),
      ]);
      assert.equal(code, 0, stderr);
      const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
      const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      const end = events.findLastIndex(({ kind }) => kind === 'step-end');
      return events.slice(0, end).filter(({ kind, action, state }) => kind === 'transfer' && action === 'pack' && state === 'done').length;
    };
    assert.equal(await packedBefore('--jobs=2'), 1);
    assert.equal(await packedBefore('--jobs=1'), 0);
    assert.equal(await packedBefore('--jobs=2', '--output=type=cacheonly'), 0);
  });
});
