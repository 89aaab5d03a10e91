/** What must not get out: arguments, secrets and facts of this machine, in images, records, dumps and command lines (security.md J). */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { storedFiles } from '../_stored-files.ts';
import { BIN, makeWorld, type World } from '../_world.ts';

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const plant = (): string => randomBytes(48).toString('hex');

function holding(directory: string, text: string): string[] {
  return [...storedFiles(directory)].flatMap(([file, bytes]) => (bytes.includes(text) ? [file] : []));
}

test('J2 an argument that no step uses is nowhere; one that is used is in the history, as with docker, and warned of', async () => {
  const [unused, used] = [plant(), plant()];
  const args = ['--build-arg', `UNUSED=${unused}`, '--build-arg', `TOKEN=${used}`];
  const context = world.context({ Dockerfile: 'FROM busybox\nARG UNUSED\nARG TOKEN\nCOPY Dockerfile /x\n' });
  const first = await world.tsbuild(['-t', 'leak:1', '--build-arg', `NEVER_DECLARED=${unused}`, context]);
  assert.equal(first.code, 0, first.stderr);
  assert.deepEqual(holding(world.root, unused), []);
  const run = world.context({ Dockerfile: 'FROM busybox\nARG TOKEN\nRUN true\n' });
  const second = await world.tsbuild(['-t', 'leak:2', ...args, run]);
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stderr, /TOKEN.*SecretsUsedInArgOrEnv/);
  assert.ok(!second.stderr.includes(used), 'the value is no part of a message');
  assert.deepEqual(holding(world.root, unused), []);
  const places = holding(world.root, used);
  assert.ok(places.length > 0 && places.every((file) => file.startsWith(path.join(world.root, 'blobs'))), places.join());
});

const SHAPES = [
  ...[
    'type=tmpfs,target=/t',
    'type=tmpfs,target=/a/b/c',
    'type=cache,target=/cache',
    'type=cache,target=/root/.cache/x',
    'type=cache,target=/usr/y',
  ],
  ...[
    'type=bind,target=/bound',
    'type=bind,target=/bound/deep',
    'type=bind,target=/file,source=Dockerfile',
    'type=bind,target=/etc/file,source=Dockerfile',
  ],
  ...[
    'type=bind,target=/bin/file,source=Dockerfile',
    'type=bind,target=/rw,rw',
    'type=bind,target=/s,from=busybox',
    'type=bind,target=/f,from=busybox,source=/etc/passwd',
  ],
  ...[
    'type=secret,id=s',
    'type=secret,id=s,target=/s',
    'type=secret,id=s,target=/etc/s',
    'type=secret,id=s,target=/n/e/w',
    'type=secret,id=s,env=S',
  ],
  ...[
    'type=tmpfs,target=/dev/shm',
    'type=tmpfs,target=/proc/x',
    'type=tmpfs,target=/run',
    'type=cache,target=/tmp/x',
    'type=cache,id=q,target=/bin/q',
  ],
  ...['type=tmpfs,target=relative', 'type=cache,target=/var/lib/apt', 'type=bind,target=/mnt,source=.'],
];

test('J3 a layer holds what the step made, and no target of a mount, file of the network or fact of this machine', async () => {
  const nameserver = /^nameserver (\S+)/m.exec(readFileSync('/etc/resolv.conf', 'utf8'))?.[1];
  for (const shape of SHAPES) {
    const Dockerfile = `FROM scratch\nCOPY busybox /bin/busybox\nRUN --mount=${shape} ["/bin/busybox", "touch", "/made"]\n`;
    const context = world.context({ Dockerfile, busybox: readFileSync('/bin/busybox') });
    chmodSync(path.join(context, 'busybox'), 0o755);
    const archive = path.join(context, 'image.tar');
    const args = ['--secret', 'id=s,env=PLANTED', '-o', `type=docker,dest=${archive}`, context];
    const { code, stderr } = await world.tsbuild(args, { env: { ...process.env, PLANTED: plant() } });
    // Nothing can be mounted below /proc: the step says so, and there is no layer.
    if (shape.includes('/proc/')) {
      assert.equal(code, 1, shape);
      continue;
    }
    assert.equal(code, 0, `${shape}: ${stderr}`);
    const [image] = JSON.parse(execFileSync('tar', ['-xOf', archive, 'manifest.json'], { encoding: 'utf8' })) as { Layers: string[] }[];
    const layer = execFileSync('tar', ['-xOf', archive, image?.Layers.at(-1) ?? '']);
    const names = execFileSync('tar', ['-tzf', '-'], { input: layer, encoding: 'utf8' })
      .split('\n')
      .filter((name) => name !== '');
    assert.deepEqual(names, ['made'], shape);
    if (nameserver !== undefined) assert.ok(!gunzipSync(layer).includes(nameserver), shape);
  }
});

test('J6 a tsbuild that is killed by a signal of crashes leaves no dump and no secret', async () => {
  const secret = plant();
  for (const signal of ['SIGABRT', 'SIGSEGV', 'SIGQUIT'] as const) {
    const directory = path.join(world.directory, `dump-${signal}`);
    mkdirSync(directory);
    const context = world.context({
      Dockerfile: 'FROM busybox\nRUN --mount=type=secret,id=s,env=S --network=none echo started; sleep 60\n',
    });
    const command = [
      '-c',
      'ulimit -c unlimited; exec "$@"',
      'sh',
      process.execPath,
      BIN,
      '--progress=plain',
      '--no-cache',
      '--secret',
      'id=s,env=PLANTED',
      context,
    ];
    const child = spawn('sh', command, {
      cwd: directory,
      env: { ...process.env, TSBUILD_ROOT: world.root, PLANTED: secret },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let output = '';
    await new Promise<void>((resolve) =>
      child.stderr.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (/ started/.test(output)) resolve();
      }),
    );
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await ended;
    assert.deepEqual(readdirSync(directory), [], signal);
    assert.deepEqual(holding(world.root, secret), [], signal);
    assert.ok(!output.includes(secret), signal);
  }
});

test('J7 no secret is in a command line, or in an environment that another user can read', async () => {
  const secret = plant();
  const file = path.join(world.directory, 'planted');
  writeFileSync(file, secret);
  const steps = Array.from({ length: 5 }, (_, i) => `RUN --mount=type=secret,id=s --mount=type=secret,id=e,env=E echo ${i}; sleep 0.1`);
  const context = world.context({ Dockerfile: `FROM busybox\n${steps.join('\n')}\n` });
  const look = 'while [ ! -e "$1" ]; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep -aq "$2" && echo SEEN; done; true';
  const end = path.join(world.directory, 'end');
  chmodSync(world.directory, 0o755);
  // The pattern is not the secret itself: its own command line would be found.
  const pattern = `[${secret[0]}]${secret.slice(1, 40)}`;
  const watcher = spawn('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'sh', '-c', look, 'sh', end, pattern], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let seen = '';
  watcher.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString();
  });
  const ended = new Promise((resolve) => watcher.once('close', resolve));
  const args = ['--no-cache', '--secret', `id=s,src=${file}`, '--secret', 'id=e,env=PLANTED', context];
  const { code, stderr } = await world.tsbuild(args, { env: { ...process.env, PLANTED: secret } });
  writeFileSync(end, '');
  await ended;
  assert.equal(code, 0, stderr);
  assert.equal(seen, '');
  assert.ok(existsSync(end));
});
