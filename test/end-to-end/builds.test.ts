import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { BuildRecord, BuildSummary } from '../../src/index.ts';
import { makeUserWorld } from './_rootless.ts';
import { BIN, makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await world.succeed(['builds', ...args, '--format', 'json'])) as T;
const steps = (record: BuildRecord) => record.stages.flatMap((stage) => stage.steps);

const FILES = {
  Dockerfile: [
    'FROM busybox AS tools',
    'RUN echo tool > /tool; echo to stderr >&2',
    'FROM busybox',
    'ARG MODE',
    'COPY --from=tools /tool /tool',
    'COPY src /src',
    'RUN --mount=type=secret,id=token cat /run/secrets/token; echo "$MODE" > /mode',
  ].join('\n'),
  'src/a.ts': 'a',
};

test('builds inspect tells what was asked, planned, found, made and why', async () => {
  const context = world.context(FILES);
  writeFileSync(path.join(world.directory, 'token'), 'tellnobody');
  const args = [
    '-t',
    'told:1',
    '--build-arg',
    'MODE=hush',
    '--label',
    'who=me',
    '--secret',
    `id=token,src=${world.directory}/token`,
    context,
  ];
  const digest = await world.succeed(args);
  writeFileSync(path.join(context, 'src/a.ts'), 'b');
  await world.succeed(args);
  const [second, first] = await json<BuildSummary[]>('ls');
  assert.equal(first?.digest, digest);
  assert.deepEqual([first?.state, first?.steps], ['done', { total: 7, cached: 0, made: 4 }]);
  assert.deepEqual([second?.state, second?.steps], ['done', { total: 7, cached: 2, made: 2 }]);
  assert.deepEqual(second?.asked, {
    ...{ context, tags: ['told:1'], platforms: [], buildArgs: ['MODE'], labels: ['who'], secrets: ['token'], ssh: [] },
    ...{ outputs: ['image'], noCache: false },
  });
  const record = await json<BuildRecord>('inspect');
  assert.equal(record.id, second?.id);
  assert.equal(record.dockerfile?.text, FILES.Dockerfile);
  const [, tool, , , copied, source, run] = steps(record);
  assert.deepEqual(source?.reasons, [{ kind: 'file', path: 'src/a.ts', change: 'content' }]);
  assert.deepEqual([tool?.outcome, copied?.outcome, source?.outcome, run?.outcome], ['cached', 'cached', 'done', 'done']);
  assert.deepEqual(copied?.inputs, ['stage-1/2', 'tools/2']);
  assert.deepEqual(source?.inputs, ['stage-1/3', 'context:']);
  assert.deepEqual(run?.lines, { start: 7, end: 7 });
  assert.ok((run?.startedMs ?? 0) >= (source?.endedMs ?? Number.POSITIVE_INFINITY));
  const image = JSON.parse(await world.succeed(['inspect', 'told:1'])) as { manifest: { layers: { digest: string; size: number }[] } };
  assert.deepEqual(
    record.images[0]?.layers.map(({ digest: layer, size }) => [layer, size]),
    image.manifest.layers.map(({ digest: layer, size }) => [layer, size]),
  );
  assert.deepEqual(
    record.images[0]?.layers.map(({ step }) => step),
    ['stage-1/1', 'stage-1/3', 'stage-1/4', 'stage-1/5'],
  );
  const raw = readFileSync(path.join(world.root, 'builds', record.id, 'events'), 'latin1');
  for (const secret of ['tellnobody', 'hush', '=me']) assert.ok(!raw.includes(secret), secret);
});

test('builds logs shows what steps wrote, secrets hidden, and one step by number or name', async () => {
  const [second = '', first = ''] = (await world.succeed(['builds', 'ls', '-q'])).split('\n');
  assert.equal(await world.succeed(['builds', 'logs', '--step', '2', first]), 'to stderr');
  assert.equal(await world.succeed(['builds', 'logs', '--step', 'stage-1/5', second.slice(-6)]), '[secret]');
  assert.match(
    await world.succeed(['builds', 'logs', first]),
    /^#2 tools\/2 RUN echo tool .*\nto stderr\n\n#7 stage-1\/5 RUN .*\n\[secret\]$/,
  );
});

test('a failed build is remembered with its error, an unplanned one, too', async () => {
  await world.tsbuild([world.context({ Dockerfile: 'FROM busybox\nRUN echo almost; exit 3\n' })]);
  const failed = await json<BuildRecord>('inspect');
  assert.deepEqual([failed.state, failed.error?.code, steps(failed)[1]?.exitCode], ['failed', 'ERR_TSBUILD_RUN_FAILED', 3]);
  assert.match(failed.error?.excerpt ?? '', />>> RUN echo almost/);
  assert.match(await world.succeed(['builds', 'inspect']), /2 {2}stage-0\/2 {2}failed \(3\)/);
  await world.tsbuild([world.context({ Dockerfile: 'FROM busybox\nRUNN x\n' })]);
  const unplanned = await json<BuildRecord>('inspect');
  assert.deepEqual([unplanned.state, unplanned.error?.code, unplanned.stages], ['failed', 'ERR_TSBUILD_UNKNOWN_INSTRUCTION', []]);
});

test('a build that runs is listed, and after a kill interrupted; an interruption is canceled', async () => {
  const context = world.context({ Dockerfile: 'FROM busybox\nRUN echo waiting; sleep 60\n' });
  const env = { ...process.env, TSBUILD_ROOT: world.root, NODE_EXTRA_CA_CERTS: undefined };
  for (const [signal, state] of [
    ['SIGKILL', 'interrupted'],
    ['SIGINT', 'canceled'],
  ] as const) {
    const child = spawn(process.execPath, [BIN, context], { env, stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('close', resolve));
    const isWaiting = async () =>
      (await json<BuildSummary[]>('ls'))[0]?.state === 'running' && (await world.succeed(['builds', 'logs'])).includes('waiting');
    while (!(await isWaiting())) await setTimeout(100);
    const [id = ''] = (await world.succeed(['builds', 'ls', '-q'])).split('\n');
    const refused = await world.tsbuild(['builds', 'rm', id]);
    assert.match(refused.stderr, /ERR_TSBUILD_BUILD_RUNNING/);
    child.kill(signal);
    await ended;
    assert.equal((await json<BuildRecord>('inspect')).state, state);
  }
});

test('builds are found by beginnings, and what is not found is told with what is near', async () => {
  const [latest = '', other = ''] = (await world.succeed(['builds', 'ls', '-q'])).split('\n');
  const none = await world.tsbuild(['builds', 'inspect', `${latest.slice(0, -1)}${latest.endsWith('x') ? 'y' : 'x'}`]);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /ERR_TSBUILD_BUILD_NOT_FOUND: .*\n.*Did you mean 2/);
  const several = await world.tsbuild(['builds', 'logs', '20']);
  assert.ok(several.stderr.includes(latest) && several.stderr.includes(other), several.stderr);
  assert.match((await world.tsbuild(['builds', 'logs', '--step', '99'])).stderr, /it has the steps 1 to 2/);
});

test('TSBUILD_BUILD_RECORDS bounds and ends the memory; pin and rm are stronger', async () => {
  const context = world.context({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  const ids = async () => (await world.succeed(['builds', 'ls', '-q'])).split('\n').filter(Boolean);
  const before = await ids();
  const oldest = before.at(-1) ?? '';
  await world.succeed([context], { env: { TSBUILD_BUILD_RECORDS: 'off' } });
  assert.deepEqual(await ids(), before);
  assert.equal(await world.succeed(['builds', 'pin', oldest.slice(-6)]), oldest);
  await world.succeed([context], { env: { TSBUILD_BUILD_RECORDS: '2' } });
  const [latest = ''] = await ids();
  assert.deepEqual(await ids(), [latest, before[0], oldest]);
  assert.equal(await world.succeed(['builds', 'rm', before[0] ?? '']), before[0]);
  assert.equal(await world.succeed(['builds', 'rm', '--all']), latest);
  assert.deepEqual(await ids(), [oldest]);
  await world.succeed(['builds', 'pin', '--undo', oldest]);
  await world.succeed(['builds', 'rm', '--all']);
  assert.deepEqual(readdirSync(path.join(world.root, 'builds')), []);
  assert.match((await world.tsbuild(['builds', 'inspect'])).stderr, /there are no records/);
  assert.equal((await world.tsbuild(['builds', 'rm'])).code, 2);
  assert.ok(!existsSync(path.join(world.root, 'builds', oldest)));
  const wrong = await world.tsbuild([context], { env: { TSBUILD_BUILD_RECORDS: 'maybe' } });
  assert.match(wrong.stderr, /ERR_TSBUILD_USAGE: Cannot use "maybe" as TSBUILD_BUILD_RECORDS/);
});

test('an ordinary user has records of builds without root, and looks at them outside of any namespace', async () => {
  await using user = await makeUserWorld();
  const context = user.context({ Dockerfile: 'FROM busybox\nRUN echo mine\n' });
  await user.succeed(['-t', 'mine:1', '--network=none', context]);
  assert.match(await user.succeed(['builds', 'ls']), /mine:1 +done +0\/1/);
  assert.equal(await user.succeed(['builds', 'logs', '--step', '2']), 'mine');
  const file = await user.succeed(['builds', 'open']);
  assert.equal(statSync(file).uid, user.user.uid);
  assert.match(readFileSync(file, 'utf8'), /No layer hides a file of another: all [^0][^ ]+B of files are seen/);
  await user.succeed(['builds', 'rm', '--all']);
});
