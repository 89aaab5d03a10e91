import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readHierarchies } from '../../src/sandbox/cgroup/hierarchies.ts';
import { imageNames } from './_judges.ts';
import { descendantsOf } from './_processes.ts';
import { seededRandom } from './_seeded-random.ts';
import { BIN, makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const ROUNDS = Number(process.env['TSBUILD_INTERRUPTS'] ?? 100);
const SEED = Number(process.env['TSBUILD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** A little longer than a build takes: more on a slow machine. */
const WINDOW_MS = Number(process.env['TSBUILD_INTERRUPT_MS'] ?? 1200);
const random = seededRandom(SEED);
/**
 * By victim and signal. Node itself dies of a signal that comes before it is up. A child may be there no more, or be what the
 * build does not need any longer; PID 1 of a step has no handler, and so obeys SIGKILL alone.
 */
const POSSIBLE = new RegExp(
  [
    ...[
      ['INT', 130],
      ['TERM', 143],
      ['HUP', 129],
      ['QUIT', 131],
    ].map(([name, code]) => `^tsbuild SIG${name} → (${code}|0|SIG${name})$`),
    '^tsbuild SIGKILL → (SIGKILL|0)$',
    '^child SIGKILL → [01]$',
    '^child SIG(INT|TERM|HUP|QUIT) → [01]$',
  ].join('|'),
);
/** Every step starts a daemon that ignores signals: only the end of its PID namespace ends it. */
const DOCKERFILE = [
  'FROM busybox AS a',
  ...Array.from({ length: 6 }, (_, i) => `RUN (trap "" INT TERM HUP; setsid sleep 4242 &) ; echo ${i} > /f${i}; sleep 0.05`),
  'FROM busybox',
  'COPY . /context',
  'RUN sleep 0.3; echo x > /x',
  'COPY --from=a /f5 /f5',
].join('\n');

/** What a machine shows of containers: processes by command line, mount namespaces, network interfaces, cgroups. */
function machineState(): {
  processes: number;
  namespaces: Set<string>;
  interfaces: string[];
  tables: string;
  cgroups: string[];
  mounts: number;
} {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const namespaces = new Set<string>();
  let processes = 0;
  for (const pid of pids) {
    try {
      for (const kind of ['mnt', 'net', 'pid', 'user']) namespaces.add(readlinkSync(`/proc/${pid}/ns/${kind}`));
      if (readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('sleep\x004242')) processes++;
    } catch {
      // The process ended while we looked.
    }
  }
  return {
    processes,
    namespaces,
    interfaces: [...readFileSync('/proc/self/net/dev', 'latin1').matchAll(/^ *(\S+):/gm)].map(([, name = '']) => name).sort(),
    tables: execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }),
    cgroups: groupsWithProcesses(),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length,
  };
}

/** Groups of steps that are not empty; empty ones are removed by the next command. */
function groupsWithProcesses(): string[] {
  const places = readHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'));
  return places
    .flatMap(({ own }) => readdirSync(own).map((name) => path.join(own, name)))
    .filter((group) => path.basename(group).startsWith('tsbuild-') && readFileSync(path.join(group, 'cgroup.procs'), 'utf8') !== '');
}

test(`X1 X2 X3 signals to tsbuild and its children at ${ROUNDS} random moments leave nothing and harm nothing`, {
  timeout: 180 * 60_000,
}, async () => {
  const context = world.context({
    Dockerfile: DOCKERFILE,
    ...Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}`, 'x'.repeat(1000 * i)])),
  });
  const keep = await world.succeed(['-t', 'keep:1', world.context({ Dockerfile: 'FROM busybox\nRUN echo kept > /kept\n' })]);
  const before = machineState();
  const codes = new Map<string, number>();
  console.log(`seed ${SEED}: TSBUILD_SEED=${SEED} TSBUILD_INTERRUPTS=${ROUNDS} repeats it`);
  for (let round = 0; round < ROUNDS; round++) {
    const [victim, signal] = deliveryOf(round);
    const limits = random() < 0.3 ? ['--memory', '256m', '--pids-limit', '100'] : [];
    const ids = random() < 0.3 ? ['--userns=auto'] : [];
    const child = spawn(process.execPath, [BIN, '-t', 'doomed:1', '--no-cache', ...limits, ...ids, context], {
      env: { ...process.env, TSBUILD_ROOT: world.root },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (data) => {
      said = (said + String(data)).slice(-2000);
    });
    const ended = new Promise<string>((resolve) => child.on('exit', (code, by) => resolve(`${victim} ${signal} → ${code ?? by}`)));
    await sleep(random() * WINDOW_MS);
    deliver(child, victim, signal);
    const outcome = await ended;
    if (!POSSIBLE.test(outcome)) console.log(`${outcome}: ${said}`);
    codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
    await settled(before, `${victim} ${signal}, round ${round} of seed ${SEED}`);
  }
  console.log(`outcomes: ${[...codes].map(([outcome, times]) => `${outcome} ×${times}`).join(', ')}`);
  console.log(`nothing was left after ${slowestMs.toFixed(0)} ms at most`);
  for (const outcome of codes.keys()) assert.match(outcome, POSSIBLE);
  assert.ok((await imageNames(world)).includes('keep:1'));
  assert.equal(await world.succeed(['run', 'keep:1', 'cat', '/kept']), 'kept');
  assert.match(await world.succeed(['inspect', 'keep:1']), new RegExp(keep));
  await world.succeed(['-t', 'after:1', context]);
  await world.succeed(['images']);
  const records = path.join(world.root, 'cgroups');
  assert.deepEqual(existsSync(records) ? readdirSync(records) : [], [], 'no record of a control group is left');
  assert.deepEqual(readdirSync(path.join(world.root, 'ingest')), [], 'unfinished files are gone after the next command');
});

type Victim = 'tsbuild' | 'child';

/** One in five is the kill of tsbuild itself, one in five goes to a process that it started. */
function deliveryOf(round: number): [Victim, NodeJS.Signals] {
  const catchable = (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const)[Math.floor(random() * 4)] ?? 'SIGTERM';
  if (round % 5 === 0) return ['tsbuild', 'SIGKILL'];
  if (round % 5 === 1) return ['child', random() < 0.5 ? 'SIGKILL' : catchable];
  return ['tsbuild', catchable];
}

function deliver(tsbuild: ChildProcess, victim: Victim, signal: NodeJS.Signals): void {
  if (victim === 'tsbuild') {
    tsbuild.kill(signal);
    return;
  }
  const children = descendantsOf(tsbuild.pid ?? 0);
  const chosen = children[Math.floor(random() * children.length)];
  try {
    if (chosen !== undefined) process.kill(chosen, signal);
  } catch (error) {
    // It has just ended.
    assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
  }
}

/** The longest that anything of a build was seen after its end. */
let slowestMs = 0;

/** Within one second nothing of the build is left on the machine; no other build may run on it meanwhile. */
async function settled(before: ReturnType<typeof machineState>, what: string): Promise<void> {
  const endedAt = performance.now();
  const deadline = endedAt + 1000;
  let problem: string | undefined;
  do {
    problem = leftovers(before, machineState());
    slowestMs = Math.max(slowestMs, performance.now() - endedAt);
    if (problem === undefined) return;
    await sleep(20);
  } while (performance.now() < deadline);
  assert.fail(`${what}: ${problem}`);
}

function leftovers(before: ReturnType<typeof machineState>, now: ReturnType<typeof machineState>): string | undefined {
  const strange = [...now.namespaces].filter((namespace) => !before.namespaces.has(namespace));
  if (now.processes > before.processes) return `${now.processes} processes are left`;
  if (now.interfaces.length > before.interfaces.length) return `interfaces are left: ${now.interfaces}`;
  if (now.tables !== before.tables) return `packet filter tables are left: ${now.tables}`;
  if (now.cgroups.length > before.cgroups.length) return `cgroups are left: ${now.cgroups}`;
  if (now.mounts > before.mounts) return `${now.mounts - before.mounts} mounts are left`;
  return strange.length > 0 ? `namespaces are left: ${strange}` : undefined;
}
