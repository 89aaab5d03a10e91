/** Group C: what mounts of a step may be asked for. Rows C1, C2, C4, C7 and C9 are with the mounts of their kind; the races have a file. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { TsbuildError } from '../../../src/errors.ts';
import { parseMount } from '../../../src/parser/mount.ts';
import { runCommand } from '../_world.ts';
import { type Attack, makeAttack } from './_attack.ts';

let attack: Attack;

before(async () => {
  attack = await makeAttack();
});
after(async () => {
  attack.assertUnharmed();
  await attack[Symbol.asyncDispose]();
});

const FUZZED = 100_000;
/** All that a mount of any type knows. */
const KEYS = new Set([
  ...[
    'type',
    'target',
    'dst',
    'destination',
    'source',
    'src',
    'from',
    'ro',
    'rw',
    'readonly',
    'readwrite',
    'id',
    'sharing',
    'mode',
    'uid',
    'gid',
  ],
  ...['size', 'env', 'required', 'optional'],
]);
/** What other tools hand on to mount(2), or take for a volume's labels. */
const PASSED_ON = [
  ...['bind-propagation=rshared', 'propagation=shared', 'bind-nonrecursive=true', 'consistency=cached', 'relabel=shared', 'z', 'Z', 'U'],
  ...[
    'exec',
    'suid',
    'dev',
    'rbind',
    'bind',
    'shared',
    'remount',
    'o=bind',
    'options=suid',
    'volume-opt=o=bind',
    'tmpfs-mode=1777',
    'upperdir=/',
    'lowerdir=/',
  ],
];

describe('RUN --mount', () => {
  test('C3 knows its own options only: none is handed on', async () => {
    for (const option of PASSED_ON) {
      for (const type of ['bind', 'cache', 'tmpfs', 'secret', 'ssh']) {
        assert.throws(() => parseMount(`type=${type},target=/t,${option}`, (word) => word), refused, `${type} ${option}`);
      }
      const { code, stderr } = await attack.build(`RUN --mount=type=bind,target=/t,${option} true`);
      assert.equal(code, 1, option);
      assert.match(stderr, /ERR_TSBUILD_DOCKERFILE_SYNTAX/);
    }
  });

  test(`C3 gives ${FUZZED} made-up options a mount of known fields, or DOCKERFILE_SYNTAX`, () => {
    const word = fc.oneof(fc.constantFrom(...KEYS, ...PASSED_ON), fc.string({ maxLength: 12 }));
    const option = fc.tuple(
      word,
      fc.option(fc.oneof(fc.constantFrom('bind', 'cache', 'tmpfs', '/t', 'true', '0700'), fc.string({ maxLength: 12 }))),
    );
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(option, { minLength: 1, maxLength: 4 }), (options) => {
        const text = options.map(([key, value]) => (value === null ? key : `${key}=${value}`)).join(',');
        try {
          const mount = parseMount(text, (each) => each);
          accepted++;
          for (const key of Object.keys(mount)) assert.ok(FIELDS.has(key), key);
        } catch (error) {
          if (!refused(error)) throw error;
          return;
        }
        for (const key of plainKeys(text)) assert.ok(KEYS.has(key.toLowerCase()), `${key} in ${text}`);
      }),
      { numRuns: FUZZED },
    );
    assert.ok(accepted > 100);
  });

  test('C6 a secret lies in memory of its own: read-only, and its target may be a link or in a cache', async () => {
    const secret = randomBytes(24).toString('hex');
    const file = path.join(attack.world.directory, 'secret');
    writeFileSync(file, secret);
    const { code, stderr } = await attack.build(
      [
        `RUN ln -s ${attack.victim} /etc/link && mkdir -p ${attack.victim}`,
        'RUN --mount=type=cache,target=/cache --mount=type=secret,id=s,target=/cache/x --mount=type=secret,id=s,target=/etc/link/s cat /cache/x /etc/link/s | wc -c; grep -E " /cache/x | .*/victim/s " /proc/self/mountinfo | cut -d" " -f6; echo no > /cache/x; chmod 777 /cache/x',
        'RUN --mount=type=cache,target=/cache ls -la /cache; stat -c "size %s" /cache/x; ls /etc/link/',
      ].join('\n'),
      ['--secret', `id=s,src=${file}`],
    );
    assert.equal(code, 1, stderr);
    assert.match(stderr, / 96$/m);
    assert.equal(stderr.match(/ ro,nosuid,nodev,noexec/g)?.length, 2, stderr);
    assert.match(stderr, /Read-only file system/);
    assert.throws(() => execFileSync('grep', ['-rlF', secret, attack.world.root, attack.victim]), { status: 1 });
  });

  test('A16 a link in a cache leads no mount into /proc or /sys', async () => {
    await attack.lines('RUN --mount=type=cache,id=links,target=/c ln -s /proc/self /c/proc && ln -s /sys /c/sys');
    for (const target of ['/c/proc/attr', '/c/proc/fdinfo', '/c/sys/kernel', '/c/proc', '/c/sys']) {
      const places = '/proc /proc/self/attr /proc/self/fdinfo /sys /sys/kernel';
      const step = `RUN --mount=type=cache,id=links,target=/c --mount=type=tmpfs,target=${target} stat -f -c "type %t" ${places}`;
      const { stderr } = await attack.build(step);
      const types = [...stderr.matchAll(/ type (\w+)$/gm)].map(([, type]) => type);
      // The step may fail; what is there is the kernel's: PROC_SUPER_MAGIC and SYSFS_MAGIC, linux/magic.h.
      if (types.length > 0) assert.deepEqual(types, ['9fa0', '9fa0', '9fa0', '62656572', '62656572'], stderr);
    }
  });

  test('C1 what is mounted of a stage or an image has no setuid programs and no devices', async () => {
    const [flags = ''] = await attack.lines(
      'RUN --mount=type=bind,from=busybox,target=/m grep " /m " /proc/self/mountinfo | cut -d" " -f6',
    );
    assert.match(flags, /^ro,nosuid,nodev/);
  });

  test('C8 a cache of one namespace is not that of another', async () => {
    const step = 'RUN --mount=type=cache,id=shared-name,target=/c ls /c; echo trojan > /c/tool';
    const namespace = (name: string): string[] => ['--build-arg', `BUILDKIT_CACHE_MOUNT_NS=${name}`];
    assert.deepEqual(await attack.lines(step, namespace('a')), []);
    assert.deepEqual(await attack.lines(step, namespace('b')), []);
    assert.deepEqual(await attack.lines(step, namespace('a')), ['tool']);
    assert.deepEqual(await attack.lines(step), []);
  });
});

describe('the files that say what to build', () => {
  for (const name of ['Dockerfile', '.dockerignore']) {
    test(`C5 ${name} of an archive is no link out of it`, async () => {
      const context = path.join(attack.world.directory, `archive-${name}`);
      mkdirSync(context);
      writeFileSync(path.join(context, 'Dockerfile'), 'FROM busybox\nCOPY . /x\n');
      for (const to of [path.join(attack.victim, 'canary'), '/etc/shadow', '../victim/canary', '/proc/self/environ']) {
        rmSync(path.join(context, name), { force: true });
        symlinkSync(to, path.join(context, name));
        const archive = execFileSync('tar', ['-C', context, '-c', '.']);
        const { code, stdout, stderr } = await runCommand(process.execPath, ['bin/tsbuild', '-'], {
          input: archive,
          env: { ...process.env, TSBUILD_ROOT: attack.world.root },
        });
        // Resolved inside the archive, it leads to nothing: that is no Dockerfile, and nothing to ignore.
        assert.equal(code, name === 'Dockerfile' ? 1 : 0, stderr);
        if (name === 'Dockerfile') assert.match(stderr, /ERR_TSBUILD_DOCKERFILE_NOT_FOUND|leads out of the build context/);
        assert.ok(!(stdout + stderr).includes(attack.canary) && !/root:[*!$]/.test(stdout + stderr));
      }
    });
  }
});

const FIELDS = new Set(['type', 'target', 'source', 'from', 'access', 'id', 'sharing', 'owner', 'bytes', 'env', 'required']);

function refused(error: unknown): boolean {
  return error instanceof TsbuildError && error.code === 'ERR_TSBUILD_DOCKERFILE_SYNTAX';
}

/** Of fields without quotes: what is left of the first `=`. */
function plainKeys(text: string): string[] {
  if (text.includes('"') || text.includes('\n') || text.includes('\r')) return [];
  return text.split(',').map((field) => field.split('=')[0] ?? '');
}
