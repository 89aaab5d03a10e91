/** RUN --mount=type=secret: what a step gets, and that nothing of it is found anywhere afterwards. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { storedFiles } from './_stored-files.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

async function build(steps: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  const context = world.context({ Dockerfile: `FROM busybox\n${steps}\n` });
  return await world.tsbuild(['--progress=plain', '-t', 'secret', ...args, context], {
    env: { ...process.env, ...env },
    cwd: world.directory,
  });
}

/** All the ways in which a program may have written the value down. */
function spellings(value: Buffer): Buffer[] {
  const base64 = [0, 1, 2].map((phase) =>
    Buffer.concat([Buffer.alloc(phase), value])
      .toString('base64')
      .slice(phase === 0 ? 0 : 4, -8),
  );
  const texts = [
    value.toString('hex'),
    value.toString('hex').toUpperCase(),
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ];
  return [
    value,
    Buffer.from(value).reverse(),
    ...texts.map((text) => Buffer.from(text)),
    Buffer.from(encodeURIComponent(value.toString('latin1'))),
  ];
}

function assertNowhere(secrets: readonly Buffer[], places: ReadonlyMap<string, Buffer>): void {
  for (const secret of secrets)
    for (const spelling of spellings(secret))
      for (const [place, bytes] of places) assert.equal(bytes.indexOf(spelling), -1, `A secret is in ${place}`);
}

describe('RUN --mount=type=secret', () => {
  test('is a file in memory, a variable, or both', async () => {
    writeFileSync(path.join(world.directory, 'token'), 'value');
    const { code, stderr } = await build(
      [
        'ENV T=image',
        'RUN --mount=type=secret,id=t stat -c "%a %u %g" /run/secrets/t; cat /run/secrets/t; echo; mount | grep -o "secrets/t type tmpfs (ro,nosuid,nodev,noexec"',
        'RUN --mount=type=secret,id=t,env=T echo env $T; ls /run 2>/dev/null; true',
        'RUN --mount=type=secret,id=t,env=T,target=/x/y,mode=0555,uid=1,gid=2 echo both $T $(cat /x/y) $(stat -c "%a %u %g" /x/y)',
        'RUN --mount=type=secret,target=rel/t cat /rel/t; echo; echo after $T',
        'USER app',
        'RUN --mount=type=secret,id=t cat /run/secrets/t 2>/dev/null || echo not mine',
        'RUN --mount=type=secret,id=t,uid=1000 cat /run/secrets/t; echo',
      ].join('\n'),
      ['--secret', 'id=t,src=token'],
    );
    assert.equal(code, 0, stderr);
    const lines = stderr.split('\n').flatMap((line) => /^#\d+ \d+\.\d+ (.*)$/.exec(line)?.[1] ?? []);
    assert.deepEqual(lines, [
      '400 0 0',
      'value',
      'secrets/t type tmpfs (ro,nosuid,nodev,noexec',
      'env value',
      'both value value 555 1 2',
      'value',
      'after image',
      'not mine',
      'value',
    ]);
  });

  test('comes from where --secret says', async () => {
    writeFileSync(path.join(world.directory, 'plain'), 'from-file');
    const read = async (secret: string, env: NodeJS.ProcessEnv = {}) =>
      (await build('RUN --mount=type=secret,id=plain,target=/s cat /s || echo none', ['--no-cache', '--secret', secret], env)).stderr;
    assert.match(await read('id=plain'), / from-file\n/);
    assert.match(await read('id=plain', { plain: 'from-env' }), / from-env\n/);
    assert.match(await read('id=plain,type=file', { plain: 'from-env' }), / from-file\n/);
    assert.match(await read('id=plain,env=OTHER', { OTHER: 'other' }), / other\n/);
    assert.match(await read('type=env,id=plain,src=OTHER', { OTHER: 'other' }), / other\n/);
    assert.match(await read('ID=plain,"SOURCE=plain"'), / from-file\n/);
    assert.match(await read('id=plain,env=NOT_SET'), / none\n/);
    assert.match(await read('id=plain,src=/no/such'), /SECRET_INVALID: Cannot read the secret "plain": \/no\/such: ENOENT/);
    for (const wrong of ['src=plain', 'id=plain,sorce=x', 'id=plain,type=x', 'id=', 'plain', 'id=plain,"src'])
      assert.match(await read(wrong), /ERR_TSBUILD_USAGE/);
    writeFileSync(path.join(world.directory, 'large'), Buffer.alloc(500 * 1024 + 1));
    assert.match(await read('id=plain,src=large'), /longer than 500 KiB/);
    writeFileSync(path.join(world.directory, 'largest'), Buffer.alloc(500 * 1024, 'x'));
    assert.equal(
      (await build('RUN --mount=type=secret,id=l,target=/s test $(stat -c %s /s) = 512000', ['--secret', 'id=l,src=largest'])).code,
      0,
    );
  });

  test('is missing without a word unless it is required', async () => {
    assert.equal((await build('RUN --mount=type=secret,id=none,env=N test -z "$N" && test ! -e /run/secrets')).code, 0);
    const { code, stderr } = await build('RUN true\nRUN --mount=type=secret,id=none,required true');
    assert.equal(code, 1);
    assert.match(stderr, />>> RUN --mount[\s\S]*SECRET_INVALID: Cannot run this step without the secret "none"/);
  });

  test('is no part of a key: another value finds the same step', async () => {
    const step = 'RUN --mount=type=secret,id=k,env=K test -n "$K"';
    assert.equal((await build(step, ['--secret', 'id=k,env=V'], { V: 'one' })).code, 0);
    assert.match((await build(step, ['--secret', 'id=k,env=V'], { V: 'two' })).stderr, /CACHED/);
  });

  test('J1 is in no blob, record, snapshot, event or message afterwards', async () => {
    const shapes = [
      '',
      ',env=S',
      ',env=S,target=/f',
      ',required',
      ',mode=0777',
      ',uid=1000,gid=1000',
      ',target=/root/x',
      ',target=/etc/x',
      ',target=/new/dir/x',
      ',target=/etc/group',
      ',target=/dev/x',
      ',target=/tmp/x',
    ];
    const secrets = shapes.map(() => Buffer.from(randomBytes(48).toString('base64')));
    const directory = path.join(world.directory, 'planted');
    mkdirSync(directory);
    secrets.forEach((secret, index) => {
      writeFileSync(path.join(directory, String(index)), secret);
    });
    const steps = shapes.map(
      (shape, index) =>
        `RUN --mount=type=secret,id=s${index}${shape} env | wc -c; cat /run/secrets/s${index} 2>/dev/null | wc -c; sleep 0.05`,
    );
    const args = secrets.flatMap((_, index) =>
      index % 2 === 0 ? ['--secret', `id=s${index},src=${directory}/${index}`] : ['--secret', `id=s${index},env=PLANTED_${index}`],
    );
    const env = Object.fromEntries(secrets.map((secret, index) => [`PLANTED_${index}`, secret.toString()]));
    const places = new Map<string, Buffer>();
    for (const progress of ['plain', 'json']) {
      const context = world.context({ Dockerfile: `FROM busybox\n${steps.join('\n')}\n` });
      const end = await world.tsbuild([`--progress=${progress}`, '--no-cache', '-t', 'scan', ...args, context], {
        env: { ...process.env, ...env },
      });
      assert.equal(end.code, 0, end.stderr);
      places.set(`${progress} stdout`, Buffer.from(end.stdout)).set(`${progress} stderr`, Buffer.from(end.stderr));
    }
    const failing = await world.tsbuild(
      [
        '--progress=plain',
        ...args,
        world.context({ Dockerfile: 'FROM busybox\nRUN --mount=type=secret,id=s0,env=A --mount=type=secret,id=s1 exit 3\n' }),
      ],
      { env: { ...process.env, ...env } },
    );
    places.set('a failure', Buffer.from(failing.stderr));
    for (const [file, bytes] of storedFiles(world.root)) places.set(file, bytes);
    assert.ok(places.size > 20);
    assertNowhere(secrets, places);
  });
});

test('the scan finds what it looks for', () => {
  const secret = Buffer.from(randomBytes(48).toString('base64'));
  for (const text of [
    secret.toString(),
    secret.toString('hex'),
    Buffer.concat([Buffer.from('a'), secret, Buffer.from('b')]).toString('base64'),
  ]) {
    assert.throws(() => assertNowhere([secret], new Map([['x', Buffer.from(`<${text}>`)]])), /A secret is in x/);
  }
});
