/** Containers in the background: `run -d`, and the commands for them. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { judgeImages } from './_judges.ts';
import { makeWorld, type World } from './_world.ts';

interface Listed {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly exitCode?: number;
  readonly error?: string;
}

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());
afterEach(async () => {
  for (const { id } of await listed()) await world.tsbuild(['rm', '-f', id]);
  assert.deepEqual(readdirSync(path.join(world.root, 'containers')), ['lock']);
  assert.equal(readdirSync(path.join(world.root, 'snapshots/d')).length, readdirSync(path.join(world.root, 'snapshots/names')).length);
});

async function listed(): Promise<Listed[]> {
  return JSON.parse(await world.succeed(['ps', '-a', '--format', 'json'])) as Listed[];
}

async function start(...args: string[]): Promise<string> {
  const id = await world.succeed(['run', '-d', ...args]);
  assert.match(id, /^[0-9a-f]{64}$/);
  return id;
}

/** A shell that has set this trap and waits. */
async function startTrap(name: string, trap: string, image = 'busybox'): Promise<string> {
  const id = await start('--name', name, image, 'sh', '-c', `${trap}; echo ready; while :; do sleep 0.05; done`);
  await until(async () => (await world.succeed(['logs', name])) === 'ready');
  return id;
}

/** The process that runs a container; its number is in the record of a container with a network. */
function supervisorOf(id: string): number {
  const record = JSON.parse(readFileSync(path.join(world.root, 'containers', id, 'container.json'), 'utf8')) as {
    network: { pid: number };
  };
  return record.network.pid;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await condition()) return;
    await sleep(50);
  }
  assert.fail('it did not come to pass');
}

describe('tsbuild run -d', () => {
  test('prints the id, runs on, and keeps output and exit code after the end', async () => {
    const id = await start('--name', 'job', 'busybox', 'sh', '-c', 'echo out; echo err >&2; sleep 0.5; echo more; exit 3');
    assert.deepEqual(
      (await listed()).map(({ id: each, name, state }) => [each, name, state]),
      [[id, 'job', 'running']],
    );
    assert.equal(await world.succeed(['wait', 'job']), '3');
    const { stdout, stderr } = await world.tsbuild(['logs', id.slice(0, 12)]);
    assert.deepEqual([stdout, stderr], ['out\nmore\n', 'err\n']);
    assert.equal(await world.succeed(['logs', '--tail', '1', 'job']), 'more');
    assert.match(await world.succeed(['logs', '-t', '-n', '1', 'job']), /^\d{4}-\d\d-\d\dT[\d:.]+Z more$/);
    assert.equal(await world.succeed(['ps', '-q']), '');
    assert.match(
      await world.succeed(['ps', '-a']),
      /^CONTAINER ID +IMAGE .*\n[0-9a-f]{12} +busybox +"sh -c echo out;.*Exited \(3\) .* job$/,
    );
    assert.equal(await world.succeed(['rm', 'job']), 'job');
    assert.deepEqual(await listed(), []);
  });

  test('says what is wrong before anything runs', async () => {
    for (const [args, code, words] of [
      [['busybox', 'missing'], 127, /RUN_NOT_STARTED/],
      [['--name', 'a b', 'busybox', 'true'], 2, /Cannot name/],
      [['-i', 'busybox', 'cat'], 2, /without --detach/],
      [['-v', '/not/there:/x', 'busybox', 'true'], 1, /MOUNT_INVALID/],
    ] as [string[], number, RegExp][]) {
      const result = await world.tsbuild(['run', '-d', ...args]);
      assert.deepEqual([result.code, result.stdout], [code, '']);
      assert.match(result.stderr, words);
    }
    assert.deepEqual(await listed(), []);
  });

  test('a name is one container’s until that is removed', async () => {
    await start('--name', 'one', 'busybox', 'true');
    await world.succeed(['wait', 'one']);
    const again = await world.tsbuild(['run', '-d', '--name', 'one', 'busybox', 'true']);
    assert.equal(again.code, 2);
    assert.match(again.stderr, /has that name/);
    const both = await Promise.all([1, 2, 3].map(async () => await world.tsbuild(['run', '-d', '--name', 'two', 'busybox', 'sleep', '5'])));
    assert.equal(both.filter(({ code }) => code === 0).length, 1);
  });

  test('--rm leaves nothing at the end, and has a log until then', async () => {
    await start('--rm', '--name', 'brief', 'busybox', 'sh', '-c', 'echo here; sleep 2; exit 6');
    const [logs, ...codes] = await Promise.all(
      [
        ['logs', 'brief'],
        ['wait', 'brief'],
        ['wait', 'brief'],
      ].map((args) => world.succeed(args)),
    );
    assert.deepEqual([logs, codes], ['here', ['6', '6']]);
    await until(async () => (await listed()).length === 0);
  });

  test('a terminal in the background writes to the log', async () => {
    await start('-t', '--name', 'tty', 'busybox', 'sh', '-c', 'test -t 1 && stty size');
    await world.succeed(['wait', 'tty']);
    assert.equal((await world.tsbuild(['logs', 'tty'])).stdout, '24 80\r\n');
  });

  test('does not hold on to the caller’s output', async () => {
    // runCommand resolves when the pipes are closed by everybody.
    const before = Date.now();
    await start('busybox', 'sleep', '100');
    assert.ok(Date.now() - before < 60_000);
  });
});

describe('tsbuild stop, kill and rm', () => {
  test('stop asks first: the command may end in order', async () => {
    await startTrap('polite', 'trap "echo bye; exit 0" TERM');
    assert.equal(await world.succeed(['stop', 'polite']), 'polite');
    assert.equal(await world.succeed(['logs', 'polite']), 'ready\nbye');
    assert.deepEqual(
      (await listed()).map(({ state, exitCode }) => [state, exitCode]),
      [['exited', 0]],
    );
    assert.equal(await world.succeed(['stop', 'polite']), 'polite');
  });

  test('stop kills what does not end in time', async () => {
    await startTrap('deaf', 'trap "" TERM');
    await world.succeed(['stop', '-t', '1', 'deaf']);
    assert.equal((await listed())[0]?.exitCode, 137);
  });

  test('stop sends the signal of the image', async () => {
    await world.succeed(['-t', 'quits:1', world.context({ Dockerfile: 'FROM busybox\nSTOPSIGNAL SIGUSR1\n' })]);
    await startTrap('quits', 'trap "exit 4" USR1', 'quits:1');
    await world.succeed(['stop', 'quits']);
    assert.equal((await listed())[0]?.exitCode, 4);
  });

  test('kill sends any signal by name or number', async () => {
    await startTrap('counts', 'trap "echo one" USR1; trap "echo hup" HUP');
    await world.succeed(['kill', '-s', 'USR1', 'counts']);
    await until(async () => (await world.succeed(['logs', 'counts'])) === 'ready\none');
    await world.succeed(['kill', '-s', '1', 'counts']);
    await until(async () => (await world.succeed(['logs', 'counts'])) === 'ready\none\nhup');
    assert.match((await world.tsbuild(['kill', '-s', 'NOTHING', 'counts'])).stderr, /no such signal/);
    await world.succeed(['kill', 'counts']);
    assert.equal(await world.succeed(['wait', 'counts']), '137');
    assert.match((await world.tsbuild(['kill', 'counts'])).stderr, /does not run/);
  });

  test('rm refuses a container that runs, and takes it with -f', async () => {
    const id = await start('--name', 'busy', 'busybox', 'sleep', '100');
    const supervisor = supervisorOf(id);
    const refused = await world.tsbuild(['rm', 'busy', 'nobody']);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /CONTAINER_RUNNING[\s\S]*CONTAINER_NOT_FOUND/);
    await world.succeed(['rm', '-f', id.slice(0, 8)]);
    await until(() => !existsSync(`/proc/${supervisor}`));
  });
});

describe('the process that runs a container', () => {
  test('ends it when it is killed, and the next command knows', async () => {
    const id = await start('--name', 'orphan', 'busybox', 'sleep', '12345.75');
    process.kill(supervisorOf(id), 'SIGKILL');
    assert.equal(await world.succeed(['wait', 'orphan']), '137');
    await until(() => !readdirSync('/proc').some((pid) => /^\d+$/.test(pid) && commandLine(pid).includes('12345.75')));
    assert.deepEqual(
      (await listed()).map(({ state, exitCode }) => [state, exitCode]),
      [['lost', 137]],
    );
    assert.match((await world.tsbuild(['rm', 'orphan'])).stdout, /orphan/);
    // The files of a container that was killed are taken away by the next command that opens any.
    await world.succeed(['run', 'busybox', 'true']);
  });

  test('passes SIGTERM on to the command', async () => {
    const id = await startTrap('asked', 'trap "exit 5" TERM');
    process.kill(supervisorOf(id), 'SIGTERM');
    assert.equal(await world.succeed(['wait', 'asked']), '5');
  });

  test('keeps the files of its image from rmi', async () => {
    await world.succeed(['-t', 'short:1', world.context({ Dockerfile: 'FROM busybox\nRUN echo kept > /file\n' })]);
    await startTrap('reader', 'trap "cat /file; exit" TERM', 'short:1');
    await world.succeed(['rmi', 'short:1']);
    await world.succeed(['stop', 'reader']);
    assert.equal(await world.succeed(['logs', 'reader']), 'ready\nkept');
  });

  test('bounds the log, whose newest part stays', async () => {
    await start('--name', 'loud', 'busybox', 'sh', '-c', 'seq 1 5000000; echo end');
    await world.succeed(['wait', 'loud']);
    const [{ id } = { id: '' }] = await listed();
    const sizes = ['log', 'log.1'].map((file) => readFileSync(path.join(world.root, 'containers', id, file)).length);
    assert.ok(
      sizes.every((size) => size <= 10 << 20),
      String(sizes),
    );
    assert.equal(await world.succeed(['logs', '--tail', '2', 'loud']), '5000000\nend');
  });
});

test('logs -f shows what comes until the end', async () => {
  await start('--name', 'slow', 'busybox', 'sh', '-c', 'for i in 1 2 3 4; do echo $i; sleep 0.2; done');
  assert.equal(await world.succeed(['logs', '-f', 'slow']), '1\n2\n3\n4');
});

test('every image of this suite passes the judges', { timeout: 10 * 60_000 }, async () => {
  assert.ok((await judgeImages(world)) > 0);
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
