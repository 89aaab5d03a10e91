import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { imageNames } from './_judges.ts';
import { BIN, makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const ROUNDS = Number(process.env['TSBUILD_INTERRUPTS'] ?? 100);
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
      for (const kind of ['mnt', 'net', 'pid']) namespaces.add(readlinkSync(`/proc/${pid}/ns/${kind}`));
      if (readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('sleep\x004242')) processes++;
    } catch {
      // The process ended while we looked.
    }
  }
  return {
    processes,
    namespaces,
    interfaces: readdirSync('/sys/class/net').sort(),
    tables: execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }),
    cgroups: readdirSync('/sys/fs/cgroup').flatMap((name) => (existsSync(`/sys/fs/cgroup/${name}/tsbuild`) ? [name] : [])),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length,
  };
}

test(`SIGINT, SIGTERM and SIGKILL at ${ROUNDS} random moments leave nothing and harm nothing`, { timeout: 20 * 60_000 }, async () => {
  const context = world.context({
    Dockerfile: DOCKERFILE,
    ...Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}`, 'x'.repeat(1000 * i)])),
  });
  const keep = await world.succeed(['-t', 'keep:1', world.context({ Dockerfile: 'FROM busybox\nRUN echo kept > /kept\n' })]);
  const before = machineState();
  const codes = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round++) {
    const signal = (['SIGINT', 'SIGTERM', 'SIGKILL'] as const)[round % 3] ?? 'SIGKILL';
    const child = spawn(process.execPath, [BIN, '-t', 'doomed:1', '--no-cache', context], {
      env: { ...process.env, TSBUILD_ROOT: world.root },
      stdio: 'ignore',
    });
    const ended = new Promise<string>((resolve) => child.on('exit', (code, by) => resolve(`${signal} → ${code ?? by}`)));
    await sleep(Math.random() * 1200);
    child.kill(signal);
    const outcome = await ended;
    codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
    await settled(before);
  }
  console.log(`outcomes: ${[...codes].map(([outcome, times]) => `${outcome} ×${times}`).join(', ')}`);
  console.log(`nothing was left after ${slowestMs.toFixed(0)} ms at most`);
  // Node itself dies of a signal that comes before it is up.
  for (const outcome of codes.keys()) assert.match(outcome, /^(SIGINT → (130|0|SIGINT)|SIGTERM → (143|0|SIGTERM)|SIGKILL → (SIGKILL|0))$/);
  assert.ok((await imageNames(world)).includes('keep:1'));
  assert.equal(await world.succeed(['run', 'keep:1', 'cat', '/kept']), 'kept');
  assert.match(await world.succeed(['inspect', 'keep:1']), new RegExp(keep));
  await world.succeed(['-t', 'after:1', context]);
  await world.succeed(['images']);
  assert.deepEqual(readdirSync(path.join(world.root, 'ingest')), [], 'unfinished files are gone after the next command');
});

/** The longest that anything of a build was seen after its end. */
let slowestMs = 0;

/** Within one second nothing of the build is left on the machine; no other build may run on it meanwhile. */
async function settled(before: ReturnType<typeof machineState>): Promise<void> {
  const endedAt = performance.now();
  const deadline = endedAt + 1000;
  let problem: string | undefined;
  do {
    problem = leftovers(before, machineState());
    slowestMs = Math.max(slowestMs, performance.now() - endedAt);
    if (problem === undefined) return;
    await sleep(20);
  } while (performance.now() < deadline);
  assert.fail(problem);
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
