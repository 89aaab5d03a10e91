/** `tsbuild du` and `tsbuild prune` on stores that real builds have filled. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type DiskUsage, type PruneResult, prune, type UsageEntry } from '../../src/index.ts';
import { fsck } from '../store/_fsck.ts';
import { FAKETIME, faked } from './_clock.ts';
import { type GitServer, makeRepository, serveGit } from './_git.ts';
import { makeUserWorld } from './_rootless.ts';
import { BIN, makeWorld, runCommand, type World } from './_world.ts';

let world: World;
let git: GitServer;
let server: Server;
let url = '';

before(async () => {
  world = await makeWorld();
  const repositories = path.join(world.directory, 'repositories');
  mkdirSync(repositories);
  makeRepository(repositories, 'lib.git', { 'lib.txt': 'lib' });
  git = await serveGit(repositories);
  server = createServer((_, response) => response.end('downloaded'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
  await git[Symbol.asyncDispose]();
  server.closeAllConnections();
  server.close();
  await world[Symbol.asyncDispose]();
});

/** Something of every kind; `app:1` has the last two layers. */
async function fill(): Promise<string> {
  const steps = [
    ...['FROM busybox AS side', 'RUN --mount=type=cache,id=npm,target=/c head -c 300000 /dev/urandom > /c/npm', 'RUN echo side > /side'],
    ...['FROM busybox', 'RUN --mount=type=cache,id=yarn,target=/c head -c 200000 /dev/urandom > /c/yarn'],
    ...['RUN --mount=type=bind,target=/in cp /in/f /f', `ADD ${url}/file /`, `ADD ${git.base}/lib.git /lib/`],
    ...['COPY --from=side /side /', 'RUN truncate -s 100M /sparse && head -c 400000 /dev/urandom > /full && ln /full /twin'],
  ];
  const context = world.context({ Dockerfile: steps.join('\n'), f: 'f' });
  await world.succeed(['--network=none', '-t', 'app:1', context]);
  return context;
}

async function usage(...args: string[]): Promise<DiskUsage> {
  return JSON.parse(await world.succeed(['du', '--format=json', ...args])) as DiskUsage;
}

async function pruned(...args: string[]): Promise<readonly UsageEntry[]> {
  return (JSON.parse(await world.succeed(['prune', '--format=json', '--force', ...args])) as PruneResult).removed;
}

const kindsOf = (entries: readonly UsageEntry[]): string[] => [...new Set(entries.map(({ kind }) => kind))].sort();

function diskUse(directory: string): number {
  return Number(execFileSync('du', ['-s', '-B1', directory], { encoding: 'utf8' }).split('\t')[0]);
}

function snapshotsOf(root: string): string[] {
  return readdirSync(path.join(root, 'snapshots/names'));
}

describe('tsbuild du', () => {
  test('tells all that du(1) counts, by kind, with what each thing is', async () => {
    await fill();
    // The second time leaves its compiled code.
    await usage();
    await usage();
    const { entries, totalBytes } = await usage();
    // The directories themselves are nobody's.
    assert.ok(Math.abs(totalBytes - diskUse(world.root)) < 200_000, `${totalBytes} ${diskUse(world.root)}`);
    const kinds = ['image', 'step', 'image-layer', 'context-copy', 'cache-mount', 'download', 'git-repository', 'git-checkout', 'records'];
    for (const kind of kinds)
      assert.ok(
        entries.some((entry) => entry.kind === kind),
        kind,
      );
    const step = entries.find(({ description }) => description.startsWith('RUN truncate'));
    assert.ok(step !== undefined && step.bytes > 400_000 && step.bytes < 500_000, 'sparse files and hard links count once');
    assert.ok(step.shared && step.reclaimable && step.usedBy.includes('image app:1'));
    const mounts = entries.filter(({ kind }) => kind === 'cache-mount');
    assert.deepEqual(mounts.map(({ description }) => description).sort(), ['npm', 'yarn']);
    assert.equal(entries.find(({ kind }) => kind === 'git-repository')?.description, `${git.base}/lib.git`);
    for (const entry of entries) assert.equal(entry.kind === 'image', entry.kind === 'image' && !entry.reclaimable, entry.id);
  });

  test('measures a snapshot once', async () => {
    const { entries } = await usage();
    const sizes = snapshotsOf(world.root).map((name) => path.join(world.root, 'snapshots/names', name, 'size'));
    for (const file of sizes) assert.ok(existsSync(file), file);
    const before = sizes.map((file) => statSync(file).mtimeMs);
    assert.equal((await usage()).entries.length, entries.length);
    assert.deepEqual(
      sizes.map((file) => statSync(file).mtimeMs),
      before,
    );
  });

  test('shows tables, blocks and sums, and no control character of a Dockerfile', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN echo \u001b[31m > /red\n' });
    await world.succeed(['--network=none', context]);
    const table = await world.succeed(['du']);
    assert.match(table, /^ID +TYPE +SIZE +LAST USED +RECLAIMABLE +DESCRIPTION\n/);
    assert.match(table, /\n[a-f0-9]{12} +cache-mount +\d+kB +just now +true +npm\n/);
    assert.match(table, /\nShared: +\S+\nReclaimable: +\S+\nTotal: +\S+$/);
    const blocks = await world.succeed(['du', '--verbose', '--filter', 'type=cache-mount,id=npm']);
    assert.match(blocks, /^ID: +[a-f0-9]{64}\nType: +cache-mount\nDescription: +npm\nSize:/);
    for (const text of [table, blocks]) assert.ok(!text.includes('\u001b'));
  });
});

describe('tsbuild prune', () => {
  test('asks first, or wants to be told not to', async () => {
    const result = await world.tsbuild(['prune']);
    assert.equal(result.code, 2, result.stderr);
    assert.match(result.stderr, /Cannot ask whether to prune: standard input is no terminal[\s\S]*Add --force/);
  });

  test('filters by type, id, age, description, and use, and refuses what it does not know', async () => {
    await fill();
    const chosen = async (...filters: string[]): Promise<readonly UsageEntry[]> =>
      await pruned('--dry-run', '--all', ...filters.flatMap((filter) => ['--filter', filter]));
    assert.deepEqual(kindsOf(await chosen('type=download')), ['download']);
    assert.deepEqual(kindsOf(await chosen('type=download', 'type=cache-mount')), ['cache-mount', 'download']);
    assert.deepEqual(
      (await chosen('type=cache-mount,id=npm')).map(({ description }) => description),
      ['npm'],
    );
    assert.deepEqual(
      (await chosen('id=yarn')).map(({ description }) => description),
      ['yarn'],
    );
    assert.deepEqual(await chosen('until=1h'), []);
    assert.deepEqual(
      (await chosen('description=truncate')).map(({ kind }) => kind),
      ['step'],
    );
    assert.ok((await chosen('shared=false')).every(({ shared }) => !shared));
    assert.deepEqual(await chosen('inuse=true'), []);
    for (const filter of ['type=nothing', 'colour=red', 'until=soon', 'shared=perhaps', 'type=']) {
      const { code, stderr } = await world.tsbuild(['prune', '--dry-run', '--filter', filter]);
      assert.equal(code, 2, filter);
      assert.match(stderr, /Cannot (use|filter)/);
    }
  });

  test('removes one cache mount by its id, and the next build makes a new one', async () => {
    const context = await fill();
    const removed = await pruned('--filter', 'type=cache-mount,id=npm');
    assert.deepEqual(
      removed.map(({ kind, description }) => [kind, description]),
      [['cache-mount', 'npm']],
    );
    assert.deepEqual(
      (await usage('--filter', 'type=cache-mount')).entries.map(({ description }) => description),
      ['yarn'],
    );
    await world.succeed(['--no-cache', '--network=none', '-t', 'app:1', context]);
    assert.equal((await usage('--filter', 'id=npm')).entries.length, 1);
  });

  test('removes by default what no image has, and with --all what can be made again; images stay whole', async () => {
    const context = await fill();
    // The first time leaves its compiled code.
    await pruned('--dry-run');
    const before = diskUse(world.root);
    const first = await pruned();
    assert.ok(first.every(({ shared }) => !shared));
    for (const kind of ['cache-mount', 'download', 'git-repository', 'step', 'context-copy'])
      assert.ok(kindsOf(first).includes(kind), kind);
    const freed = first.reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(Math.abs(before - diskUse(world.root) - freed) < 200_000, 'it gives back what it says');
    const { stderr } = await world.tsbuild(['--progress=plain', '--network=none', '-t', 'again', context]);
    assert.match(stderr, /(#\d+) \[stage-1 5[^\n]*lib.git[\s\S]*\n\1 CACHED/, 'steps that the image has are found');
    const second = await pruned('--all');
    assert.ok(second.some(({ kind }) => kind === 'image-layer'));
    assert.deepEqual(snapshotsOf(world.root), []);
    assert.deepEqual(
      readdirSync(path.join(world.root, 'cache/steps')).filter((name) => name !== '.tmp'),
      [],
    );
    assert.deepEqual(
      kindsOf((await usage()).entries).filter((kind) => kind !== 'records' && kind !== 'unfinished'),
      ['image'],
    );
    assert.deepEqual(fsck(world.root), []);
    assert.equal(await world.succeed(['run', 'app:1', 'cat', '/side']), 'side');
  });

  test('stops at --keep-storage, and goes by the last use', async () => {
    await pruned('--all');
    for (const name of ['one', 'two', 'three']) {
      await world.succeed(['--network=none', world.context({ Dockerfile: `FROM busybox\nRUN head -c 1000000 /dev/urandom > /${name}\n` })]);
    }
    const steps = (await usage('--filter', 'type=step')).entries;
    const idOf = (name: string): string => steps.find(({ description }) => description.endsWith(name))?.id ?? '';
    const hours = ['two', 'one', 'three'].map((name, i) => [idOf(name), Date.now() / 1000 - (9 - i) * 3600] as const);
    for (const [id, time] of hours) utimesSync(path.join(world.root, 'snapshots/names', id, 'info.json'), time, time);
    const { totalBytes } = await usage();
    const stays = (await usage('--filter', 'type=image,type=records,type=unfinished')).totalBytes;
    const removed = await pruned('--keep-storage', String(totalBytes - stays - 1_500_000));
    const gone = removed.filter(({ kind }) => kind === 'step').map(({ id }) => id);
    assert.deepEqual(gone, [idOf('two'), idOf('one')]);
    assert.ok(snapshotsOf(world.root).includes(idOf('three')));
  });

  test('a build that finds a step again marks it as used', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN echo marked > /marked\n' });
    await world.succeed(['--network=none', context]);
    const find = async () => (await usage('--filter', 'description=marked')).entries[0];
    const entry = await find();
    const file = path.join(world.root, 'snapshots/names', entry?.id ?? '', 'info.json');
    utimesSync(file, 1000, 1000);
    assert.equal((await find())?.usedAt, 1_000_000, 'du marks nothing');
    await world.succeed(['--network=none', context]);
    assert.ok(((await find())?.usedAt ?? 0) > Date.now() - 60_000);
  });
});

describe('prune beside builds', () => {
  test('leaves all that a running build has made, found or read, and the build never notices', { timeout: 120_000 }, async () => {
    const stages = [
      'FROM busybox AS made\nRUN --mount=type=cache,id=live,target=/c echo made > /made && cp /made /c/',
      `FROM busybox AS read\nADD ${url}/live /live\nADD ${git.base}/lib.git /lib/\nCOPY f /f`,
      'FROM busybox AS slow\nARG ROUND\nRUN --mount=type=bind,target=/in --mount=type=cache,id=live,target=/c for i in $(seq 20); do sleep 0.1; cat /in/f /c/made /bin/busybox > /slow; done',
    ];
    const end =
      'FROM busybox\nCOPY --from=made /made /\nCOPY --from=slow /slow /\nCOPY --from=read / /read/\nRUN cat /made /slow /read/live > /all';
    const context = world.context({ Dockerfile: [...stages, end].join('\n'), f: 'f' });
    let turns = 0;
    // The second build finds what the first has left of it.
    for (const round of ['1', '2']) {
      const child = spawn(process.execPath, [BIN, '--network=none', '--build-arg', `ROUND=${round}`, '-t', 'live:1', context], {
        env: { ...process.env, TSBUILD_ROOT: world.root },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.on('data', (data) => {
        stderr += data;
      });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      while (child.exitCode === null && child.signalCode === null) {
        await prune({ root: world.root, all: true });
        // Where nothing is to be removed it waits for nothing, and the servers of this process would never have their turn.
        await nextTurn();
        turns++;
      }
      assert.equal(await ended, 0, stderr);
    }
    assert.ok(turns > 20, String(turns));
    assert.deepEqual(fsck(world.root), []);
    assert.equal(await world.succeed(['run', 'live:1', 'cat', '/made', '/read/lib/lib.txt']), 'made\nlib');
    await pruned('--all');
    assert.deepEqual(snapshotsOf(world.root), [], 'nothing is held when the builds are over');
  });

  test('forgets where blobs that are gone came from, and that they were hashed', async () => {
    const namesIn = (name: string): string[] => readdirSync(path.join(world.root, name)).map((file) => path.basename(file, '.json'));
    await world.succeed(['--network=none', '-q', world.context({ Dockerfile: 'FROM busybox\nRUN echo unnamed > /unnamed\n' })]);
    const before = namesIn('blobs/sha256');
    assert.ok((await pruned('--all')).some(({ kind }) => kind === 'blob'));
    const gone = before.filter((name) => !namesIn('blobs/sha256').includes(name));
    assert.ok(gone.length >= 2);
    for (const name of gone) for (const directory of ['origins', 'verified']) assert.ok(!namesIn(directory).includes(name), directory);
  });

  test('leaves the image of a container that runs', async () => {
    const child = spawn(process.execPath, [BIN, 'run', 'busybox', 'sh', '-c', 'echo ready; sleep 1; cat /bin/busybox | wc -c'], {
      env: { ...process.env, TSBUILD_ROOT: world.root },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await pruned('--all');
    assert.equal(await ended, 0);
  });
});

describe('the collection after a build', () => {
  let disk = '';
  let root = '';
  // A file system of its own: what others write is no reason to look.
  before(() => {
    disk = path.join(world.directory, 'disk');
    root = path.join(disk, 'state');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300m', 'none', disk]);
  });
  after(() => execFileSync('umount', [disk]));

  const build = async (name: string, env: NodeJS.ProcessEnv) => {
    const context = world.context({ Dockerfile: `FROM busybox\nRUN head -c 3000000 /dev/urandom > /${name}\n` });
    const again = async () => await world.tsbuild(['--network=none', '-t', 'collected', context], { root, env });
    const result = await again();
    assert.equal(result.code, 0, result.stderr);
    return { ...result, again };
  };
  const estimated = (): number => statSync(path.join(root, 'cache/estimate')).mtimeMs;

  test('keeps to TSBUILD_KEEP_STORAGE after the result is out, and says so; the images stay', async () => {
    await world.succeed(['import', path.join(world.directory, 'busybox.tar'), 'busybox'], { root });
    for (const name of ['one', 'two']) assert.doesNotMatch((await build(name, { TSBUILD_KEEP_STORAGE: '1GB' })).stderr, /removed/);
    assert.doesNotMatch((await build('three', { TSBUILD_KEEP_STORAGE: '6MB', TSBUILD_GC: 'off' })).stderr, /removed/);
    const { stdout, stderr, again } = await build('four', { TSBUILD_KEEP_STORAGE: '6MB' });
    assert.match(stdout, /^sha256:[a-f0-9]{64}\n$/);
    assert.match(stderr, /removed \d+ unused things from the cache \(\d/);
    const { entries } = JSON.parse(await world.succeed(['du', '--format=json'], { root })) as DiskUsage;
    const stays = ['image', 'records', 'unfinished'];
    const cache = entries.filter(({ kind }) => !stays.includes(kind)).reduce((sum, { bytes }) => sum + bytes, 0);
    assert.ok(cache <= 6 * 2 ** 20, String(cache));
    assert.deepEqual(
      entries.filter(({ kind }) => kind === 'step').map(({ description }) => description.slice(-4)),
      ['four'],
    );
    assert.deepEqual(fsck(root), []);
    assert.equal((await again()).code, 0);
  });

  test('is not thought of by a build that finds everything', async () => {
    const { again } = await build('five', {});
    const before = estimated();
    assert.equal((await again()).code, 0);
    assert.equal(estimated(), before);
  });

  test('X17 takes nothing away because the clock jumped a year ahead, nor when it is right again', {
    skip: FAKETIME === undefined,
  }, async () => {
    const { again } = await build('kept', {});
    const cached = async () => assert.match((await again()).stderr, /RUN head[^\n]*kept\n[^\n]*CACHED/);
    for (const clock of ['+370d', '+371d', '+0', '+740d', '+0', '-3000d', '+0']) {
      assert.doesNotMatch((await build(`at${clock}`, faked(clock))).stderr, /removed/, clock);
    }
    await cached();
    const { entries } = JSON.parse(await world.succeed(['du', '--format=json'], { root })) as DiskUsage;
    assert.deepEqual(
      entries.filter(({ usedAt }) => usedAt > Date.now() + 3_600_000),
      [],
      'what was used when the clock was ahead is no longer the last to go',
    );
    await cached();
  });

  test('refuses settings that say nothing before it builds', async () => {
    for (const env of [{ TSBUILD_GC: 'perhaps' }, { TSBUILD_KEEP_STORAGE: 'much' }]) {
      const { code, stderr } = await world.tsbuild([world.context({ Dockerfile: 'FROM busybox\n' })], { root, env });
      assert.equal(code, 2, stderr);
      assert.match(stderr, /TSBUILD_(GC|KEEP_STORAGE) is/);
    }
  });
});

test('X14 X15 chaos: many builds, prunes and kills in one store for some seconds', { timeout: 300_000 }, async () => {
  const { code, stdout, stderr } = await runCommand(process.execPath, ['scripts/chaos.mjs', '--seconds', '15', '--processes', '8']);
  assert.equal(code, 0, `${stderr}\n${stdout}`);
  assert.match(stdout, /: 0 faults;/);
});

test('du and prune work for an ordinary user', async () => {
  await using user = await makeUserWorld();
  const context = user.context({ Dockerfile: 'FROM busybox\nRUN mkdir /d && echo x > /d/f && chown -R 1000:1000 /d && chmod 0 /d\n' });
  await user.succeed(['--network=none', context]);
  await user.succeed(['du']);
  await user.succeed(['du']);
  const { totalBytes } = JSON.parse(await user.succeed(['du', '--format=json'])) as DiskUsage;
  assert.ok(Math.abs(totalBytes - diskUse(user.root)) < 200_000);
  await user.succeed(['prune', '--all', '--force']);
  assert.deepEqual(snapshotsOf(user.root), []);
  assert.deepEqual(readdirSync(path.join(user.root, 'trash')), []);
});
