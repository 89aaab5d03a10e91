/** X4: whole builds that stand still for some seconds, as under a debugger or in a laptop that sleeps: nobody takes them for dead, and they go on. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRegistry } from '../registry/_docker-registry.ts';
import { descendantsOf, eventually } from './_processes.ts';
import { BIN, makeWorld, type World } from './_world.ts';

const STILL_MS = 4000;

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

function start(args: readonly string[], root = world.root): Started {
  const env = { ...process.env, TSBUILD_ROOT: root, NODE_EXTRA_CA_CERTS: undefined };
  const child = spawn(process.execPath, [BIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) child[stream]?.on('data', (chunk: Buffer) => (said[stream] += chunk.toString()));
  return { child, ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, ...said }))) };
}

/** The process and all that stand below it. */
function family({ pid = 0 }: ChildProcess): number[] {
  return [pid, ...descendantsOf(pid)];
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) process.kill(pid, signal);
}

describe('X4 a build that stands still', () => {
  test('X4 keeps the lock of its step: another waits, takes over nothing, prune removes nothing of it, and both have the same result', async () => {
    const context = world.context({
      Dockerfile:
        'FROM busybox\nRUN --mount=type=cache,target=/c echo x >> /c/count; sleep 1; cat /c/count > /count; head -c8 /dev/urandom > /random\n',
    });
    const args = ['--network=none', '--progress=plain', '-t', 'still:1', context];
    const running = path.join(world.root, 'cache/running');
    const holder = start(args);
    await eventually(() => (existsSync(running) && readdirSync(running).length === 1) || undefined, 30_000);
    const still = family(holder.child);
    signalAll(still, 'SIGSTOP');
    const waiter = start(args);
    await world.succeed(['prune', '--force', '--all']);
    await sleep(STILL_MS);
    assert.equal(waiter.child.exitCode, null, 'it waits');
    await world.succeed(['prune', '--force', '--all']);
    signalAll(still, 'SIGCONT');
    const [first, second] = await Promise.all([holder.ended, waiter.ended]);
    assert.deepEqual([first.code, second.code], [0, 0], first.stderr + second.stderr);
    assert.equal(first.stdout, second.stdout);
    assert.equal(await world.succeed(['run', '--network=none', 'still:1', 'cat', '/count']), 'x');
  });

  test('X4 counts no time against a limit that it has not used up', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN sleep 2; echo done > /done\n' });
    const build = start(['--network=none', '--timeout=60s', '--step-timeout=50s', '-t', 'limited:1', context]);
    await sleep(800);
    const still = family(build.child);
    signalAll(still, 'SIGSTOP');
    await sleep(STILL_MS);
    signalAll(still, 'SIGCONT');
    const { code, stderr } = await build.ended;
    assert.equal(code, 0, stderr);
  });

  test('X4 goes on with what it pushes and pulls', async () => {
    await using registry = await startRegistry();
    const name = `${registry.host}/still:1`;
    const bytes = 128 << 20;
    const Dockerfile = `FROM busybox\nRUN head -c ${bytes} /dev/urandom > /big\n`;
    const digest = await world.succeed(['--network=none', '-t', name, world.context({ Dockerfile })]);
    const standStill = async ({ child, ended }: Started, arriving: string): Promise<Awaited<Started['ended']>> => {
      while (child.exitCode === null && !holdsMuch(arriving)) await sleep(2);
      const isStopped = child.exitCode === null && child.kill('SIGSTOP');
      await sleep(STILL_MS);
      child.kill('SIGCONT');
      assert.ok(isStopped, 'it had ended before');
      return await ended;
    };
    const pushed = await standStill(start(['push', '--progress=plain', name]), registry.directory);
    assert.equal(pushed.code, 0, pushed.stderr);
    const other = path.join(world.directory, 'other');
    const pulled = await standStill(start(['pull', '--progress=plain', name], other), path.join(other, 'ingest'));
    assert.equal(pulled.code, 0, pulled.stderr);
    assert.equal(pulled.stdout.trim(), digest);
  });
});

/** A file of a MiB or more somewhere below: what is on its way has come so far. */
function holdsMuch(directory: string): boolean {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' }).some((name) => {
      const stat = lstatSync(path.join(directory, name), { throwIfNoEntry: false });
      return stat?.isFile() === true && stat.size >= 1 << 20;
    });
  } catch {
    // It is not there yet, or a part of it went while it was listed.
    return false;
  }
}
