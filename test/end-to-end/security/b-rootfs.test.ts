/** Root file systems that were made to have the runtime mount, create or remove something outside of them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { CommandResult } from '../_world.ts';
import { type Attack, makeAttack } from './_attack.ts';

let attack: Attack;
let images = 0;

before(async () => {
  attack = await makeAttack();
});
after(async () => await attack[Symbol.asyncDispose]());

/** An image of busybox that `change`, a script in its root directory, has made odd; and a build of steps on it. */
async function buildOn(change: string, steps: string): Promise<CommandResult> {
  const { world, canary } = attack;
  const name = `odd-${images++}`;
  const [root, tar] = [path.join(world.directory, `${name}.d`), path.join(world.directory, `${name}.tar`)];
  const script = `mkdir "$0" && tar -xf ${world.directory}/busybox.tar -C "$0" && cd "$0" && ${change} && tar -cf "$1" .`;
  execFileSync('sh', ['-c', script, root, tar]);
  await world.succeed(['import', tar, `${name}:latest`]);
  const context = world.context({ Dockerfile: `FROM ${name}\n${steps}\n` });
  const result = await world.tsbuild(['--progress=plain', '--no-cache', '--network=none', context]);
  assert.notEqual(result.code, 70, result.stderr);
  assert.ok(!result.stderr.includes(canary), result.stderr);
  return result;
}

test('B2 masks are made of our own null device, not of the image’s (CVE-2025-31133)', async () => {
  const change = 'mkdir dev && ln -s /proc/sys/kernel/core_pattern dev/null && ln -s /proc/sysrq-trigger dev/zero';
  const { code, stderr } = await buildOn(
    change,
    'RUN wc -c < /proc/keys; (echo x > /proc/sys/kernel/core_pattern) 2>&1 | grep -o "Read-only.*"; test -c /dev/null && echo ours',
  );
  assert.equal(code, 0, stderr);
  assert.match(stderr, / 0\n[\s\S]*Read-only file system\n[\s\S]*ours\n/);
  attack.assertUnharmed();
});

test('B3 links in the image’s /dev lead nowhere: /dev is our own (CVE-2025-52565)', async () => {
  const names = 'console ptmx pts shm mqueue fd stdin stdout stderr tty';
  for (const to of [attack.victim, `../../..${attack.victim}`, '/etc']) {
    const { code, stderr } = await buildOn(
      `mkdir dev && for n in ${names}; do ln -s ${to} dev/$n; done`,
      'RUN test -d /dev/shm && test ! -L /dev/shm && test ! -L /dev/pts && echo x > /dev/stdout',
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, / x\n/);
  }
  attack.assertUnharmed();
});

test('B4 a link in the place of /dev, /sys, /proc, /etc or /run makes nothing on the host (CVE-2026-41579)', async () => {
  for (const name of ['dev', 'sys', 'proc', 'etc', 'run']) {
    for (const to of [attack.victim, `/../..${attack.victim}`, `../../../..${attack.victim}`]) {
      await buildOn(
        `rm -rf ${name} && ln -s ${to} ${name}`,
        'RUN cat /etc/canary /dev/canary /run/canary; echo x > /run/new; echo x > /etc/new; true',
      );
    }
  }
  attack.assertUnharmed();
});

test('B5 directories that are made for a step are made inside its root (CVE-2015-3629)', async () => {
  const change = `ln -s /../../../../../..${attack.victim} l`;
  for (const steps of [
    'WORKDIR /l/new/dir\nRUN pwd',
    'RUN --mount=type=tmpfs,target=/l/new true',
    'RUN --mount=type=cache,target=/l/new/deep touch /l/new/deep/x',
    'COPY Dockerfile /l/new/',
    'USER app\nWORKDIR /l/b\nRUN touch /l/b/x || true',
    'RUN --mount=type=bind,target=/l/canary true',
  ]) {
    const { code, stderr } = await buildOn(change, steps);
    assert.ok(code === 0 || code === 1, stderr);
    attack.assertUnharmed();
  }
});

test('B6 what is removed after a step is what was made for it (CVE-2024-23652)', async () => {
  for (const target of ['/a/b/c', `/a${attack.victim}/b/c`, '/a/canary']) {
    const steps = `RUN --mount=type=tmpfs,target=${target} umount ${target} 2>/dev/null; rm -rf /a 2>/dev/null; mv /a /gone; ln -s / /a; ln -s ${attack.victim} /a/b; true`;
    const { code, stderr } = await attack.build(steps);
    assert.ok(code === 0 || code === 1, stderr);
    const swap = `RUN --mount=type=cache,target=/x mkdir -p /a && rm -rf /a && ln -s ${attack.victim} /a\nRUN --mount=type=tmpfs,target=/a/b/c true`;
    await attack.build(swap);
  }
  attack.assertUnharmed();
});

test('B7 control groups cannot be written, mounted or left (CVE-2022-0492)', async () => {
  const steps =
    'RUN find /sys/fs/cgroup -type f -writable 2>/dev/null -exec sh -c \': >> "$0"\' {} \\; -print 2>/dev/null | head -3; mkdir /c; mount -t cgroup -o memory cgroup /c 2>&1; mount -t cgroup2 none /c 2>&1; unshare -Ur true 2>&1; true';
  const lines = await attack.lines(steps);
  assert.deepEqual(
    lines.filter((line) => line.startsWith('/sys')),
    [],
  );
  assert.equal(lines.filter((line) => /not permitted|denied/i.test(line)).length, 3, lines.join('\n'));
});

test('B8 a step’s mounts are its own, and name no path of the host', async () => {
  const lines = await attack.lines('RUN cat /proc/self/mountinfo');
  assert.ok(lines.length > 15);
  assert.deepEqual(
    lines.filter((line) => /shared:|master:|\/tmp\/|tsbuild-e2e/.test(line)),
    [],
  );
  attack.assertUnharmed();
});

test('B10 state directories may have names that separate options', async () => {
  for (const name of ['a:b,c\\ d"e', 'new\nline', 'lowerdir=x', "q'$(touch x)`"]) {
    const root = path.join(attack.world.directory, name);
    const tar = path.join(attack.world.directory, 'busybox.tar');
    await attack.world.succeed(['import', tar, 'busybox:latest'], { root });
    const context = attack.world.context({ Dockerfile: 'FROM busybox\nRUN echo one > /f\nRUN echo two >> /f\nRUN cat /f | wc -l\n' });
    const { code, stderr } = await attack.world.tsbuild(['--progress=plain', '--network=none', context], { root });
    assert.equal(code, 0, stderr);
    assert.match(stderr, / 2\n/);
  }
});

test('B12 what tells of the machine reads as empty, and its switches cannot be turned (CVE-2015-3630)', async () => {
  const hidden = ['acpi', 'asound', 'interrupts', 'kcore', 'keys', 'latency_stats', 'timer_list', 'timer_stats', 'sched_debug', 'scsi'].map(
    (name) => `/proc/${name}`,
  );
  const dirs = [...hidden, '/sys/firmware', '/sys/devices/virtual/powercap'].join(' ');
  const lines = await attack.lines(
    `RUN for p in ${dirs}; do if test -d $p; then ls -A $p; else cat $p 2>/dev/null | head -c 9; fi; done; for p in /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /proc/irq/default_smp_affinity; do (echo 1 > $p) 2>/dev/null && echo "wrote $p"; done; true`,
  );
  assert.deepEqual(lines, []);
});
