/**
 * Rows B1, C1, C6 and A16: a program in one step exchanges a directory and a link out of a shared cache, as fast as the kernel can,
 * while other builds mount by paths through it. TSBUILD_RACE_SWAPS and TSBUILD_RACE_BUILDS
 * are how many exchanges and builds each row has at least.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Attack, makeAttack } from './_attack.ts';
import { compileProbe, probeContext } from './_probe.ts';

const SWAPS = Number(process.env['TSBUILD_RACE_SWAPS'] ?? 100_000);
/** Of each row, so that the exchanges are spread over many ways through the kernel. */
const BUILDS_MIN = Number(process.env['TSBUILD_RACE_BUILDS'] ?? 12);
/** As a step may be refused for what it found in the middle of an exchange, more are tried until one has run. */
const BUILDS_MAX = 20 * BUILDS_MIN;
const STEPS = 8;

let attack: Attack;
let program: string;

before(async () => {
  attack = await makeAttack();
  program = compileProbe(attack.world, 'swap');
});
after(async () => await attack[Symbol.asyncDispose]());

interface Race {
  readonly id: string;
  /** What the link leads to. */
  readonly link: string;
  /** Of one step, beside the cache at /c. */
  readonly mounts: string;
  readonly command: string;
  readonly args?: readonly string[];
}

interface Outcome {
  readonly swaps: number;
  readonly output: string;
  /** Steps whose mounts were made. */
  readonly ran: number;
}

/** Each step is a build of its own stage, and none needs another. */
async function race({ id, link, mounts, command, args = [] }: Race): Promise<Outcome> {
  const { world } = attack;
  const swapping = `FROM busybox\nCOPY swap-probe /\nRUN --mount=type=cache,id=${id},target=/c ["/swap-probe", "/c", "${link}"]\n`;
  const swapper = world.tsbuild(['--progress=plain', '--network=none', '--no-cache', probeContext(world, swapping, [program])]);
  const cache = await cacheOf(id);
  const outcome = { swaps: 0, output: '', ran: 0 };
  try {
    const isOver = (builds: number) => builds >= BUILDS_MIN && swapsIn(cache) >= SWAPS && (outcome.ran > 0 || builds >= BUILDS_MAX);
    for (let builds = 0; !isOver(builds); builds++) {
      const step = `RUN --mount=type=cache,id=${id},target=/c ${mounts} ${command}; echo; echo ran`;
      const { stderr } = await attack.build(Array.from({ length: STEPS }, (_, index) => `ENV N=${index}\n${step}`).join('\n'), args);
      outcome.output += stderr;
      outcome.ran += stderr.match(/^#\d+ \d+\.\d+ ran$/gm)?.length ?? 0;
    }
  } finally {
    writeFileSync(path.join(cache, 'stop'), '');
  }
  const { code, stderr } = await swapper;
  assert.equal(code, 0, stderr);
  outcome.swaps = Number(/ (\d+) swaps/.exec(stderr)?.[1]);
  assert.ok(outcome.swaps >= SWAPS);
  attack.assertUnharmed();
  return outcome;
}

async function cacheOf(id: string): Promise<string> {
  const all = path.join(attack.world.root, 'cache/mounts');
  for (let tries = 0; tries < 600; tries++) {
    const found = existsSync(all)
      ? readdirSync(all)
          .map((name) => path.join(all, name, '0/data'))
          .find((directory) => existsSync(path.join(directory, 'count')) && !existsSync(path.join(directory, 'stop')))
      : undefined;
    if (found !== undefined && swapsIn(found) > 0) return found;
    await sleep(50);
  }
  throw new Error(`The cache ${id} is not there`);
}

function swapsIn(cache: string): number {
  return Number(readFileSync(path.join(cache, 'count'), 'latin1'));
}

/** What lies below /proc and /sys, and where the step's own mounts came to be. */
const MOUNTS = "cut -d' ' -f5 /proc/self/mountinfo | grep -v '^/dev' | tr '\\n' ' '";

describe('a path of a cache that another step exchanges for a link', () => {
  test('B1 leads no mount out of the container (CVE-2021-30465)', async (t) => {
    const { swaps, ran, output } = await race({
      id: 'b1',
      link: attack.victim,
      mounts: '--mount=type=tmpfs,target=/c/d/x --mount=type=bind,from=busybox,source=/bin,target=/c/d/new',
      command: `touch /c/d/x/breakout /c/d/breakout; ls /c/d /c/evil; ${MOUNTS}`,
    });
    t.diagnostic(`${swaps} swaps, ${ran} steps ran among them`);
    assert.ok(ran > 0, output);
    assert.deepEqual(readdirSync(attack.victim).sort(), ['b', 'canary', 'hostname', 'link', 'ptmx']);
  });

  test('C1 shows as a source what is in the cache, and nothing of the machine (CVE-2024-23651)', async (t) => {
    const { swaps, ran, output } = await race({
      id: 'c1',
      link: attack.victim,
      mounts: '--mount=type=cache,id=c1,source=/d,target=/part --mount=type=cache,id=c1,source=/d/x,target=/other',
      command: 'ls -la /part /other; cat /part/canary /other/canary; echo x > /part/BIND_BREAKOUT; true',
    });
    t.diagnostic(`${swaps} swaps, ${ran} steps ran among them`);
    assert.ok(ran > 0, output);
    assert.ok(!output.includes('hostname'), output);
    assert.ok(!existsSync(path.join(attack.victim, 'BIND_BREAKOUT')) && !existsSync('/BIND_BREAKOUT'));
  });

  test('C6 leaves no secret outside of the step', async (t) => {
    const secret = randomBytes(24).toString('hex');
    const file = path.join(attack.world.directory, 'race-secret');
    writeFileSync(file, secret);
    const { swaps, ran, output } = await race({
      id: 'c6',
      link: attack.victim,
      mounts: '--mount=type=secret,id=s,target=/c/d/f --mount=type=secret,id=s,target=/c/d/x/new',
      command: 'cat /c/d/f /c/d/x/new | wc -c',
      args: ['--secret', `id=s,src=${file}`],
    });
    t.diagnostic(`${swaps} swaps, ${ran} steps ran among them`);
    assert.ok(!output.includes(secret));
    assert.throws(() => execFileSync('grep', ['-rlF', secret, attack.world.root, attack.victim]), { status: 1 });
  });

  test('A16 moves no mount to /proc or /sys', async (t) => {
    const { swaps, ran, output } = await race({
      id: 'a16',
      link: '/proc/self',
      mounts: '--mount=type=tmpfs,target=/c/d/attr',
      command: `echo mounts $(${MOUNTS})`,
    });
    t.diagnostic(`${swaps} swaps, ${ran} steps ran among them`);
    const lines = [...output.matchAll(/^#\d+ \d+\.\d+ mounts (.*)$/gm)].map(([, line = '']) => line);
    assert.ok(ran > 0 && lines.length > 0, output);
    for (const line of lines) assert.ok(!/\/proc\/(?:self|\d+|thread-self)\b/.test(line), line);
  });
});
