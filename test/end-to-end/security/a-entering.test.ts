/** Ways into a container that led out of it: each row is a class of bug that shipped in a builder or a runtime. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startHostileRegistry } from '../_hostile-registry.ts';
import { BIN, runCommand } from '../_world.ts';
import { type Attack, makeAttack } from './_attack.ts';

let attack: Attack;

before(async () => {
  attack = await makeAttack();
});
after(async () => await attack[Symbol.asyncDispose]());

test('A1 a working directory behind a descriptor or another magic link is refused (CVE-2024-21626)', async () => {
  const places = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 20, 63, 200, 1000].map((fd) => `/proc/self/fd/${fd}`);
  for (const place of [...places, '/proc/1/cwd', '/proc/1/root', '/proc/self/root/../..', '/proc/thread-self/cwd/..']) {
    const { code, stderr } = await attack.build(`WORKDIR ${place}\nRUN cat ../../../hostname ../../..${attack.victim}/canary; pwd`);
    if (code === 0) assert.match(stderr, /No such file or directory/, place);
  }
  attack.assertUnharmed();
});

test('A2 descriptors of the caller do not reach a step', async () => {
  const context = attack.world.context({
    Dockerfile: 'FROM busybox\nRUN ls /proc/self/fd | wc -l; ls -l /proc/self/fd 2>/dev/null | grep -c victim || true\n',
  });
  const opened = [3, 4, 5, 10, 20, 63, 200, 251, 1000].map((fd, index) => `${fd}<${attack.victim}/${index % 2 === 0 ? 'b' : 'canary'}`);
  const script = `exec ${opened.join(' ')}; exec "$0" "$@"`;
  const args = ['-c', script, process.execPath, BIN, '--progress=plain', '--no-cache', '--network=none', context];
  const { stderr } = await runCommand('bash', args, { env: { ...process.env, TSBUILD_ROOT: attack.world.root } });
  assert.match(stderr, / 4\n#\d+ \S+ 0\n/);
});

test('A3 no program of the host can be written by way of a process of the container (CVE-2019-5736)', async () => {
  const grab =
    'for i in $(seq 300); do for p in /proc/[0-9]*; do (: >>$p/exe) && echo "opened $(readlink $p/exe)"; done; done 2>/dev/null; true';
  const stages = Array.from({ length: 8 }, (_, index) => `FROM busybox AS s${index}\nRUN echo ${index}; ${grab}\n`);
  const copies = stages.map((_, index) => `COPY --from=s${index} /etc/group /s${index}`);
  const lines = await attack.lines(`${stages.join('')}FROM busybox\n${copies.join('\n')}`);
  assert.deepEqual(
    [...new Set(lines.filter((line) => line.startsWith('opened')))].filter((line) => !line.endsWith('/bin/busybox')),
    [],
  );
  const { code } = await attack.build('SHELL ["/proc/self/exe", "-c"]\nRUN id');
  assert.ok(code !== null);
  attack.assertUnharmed();
});

test('A4 the caller’s environment is in no process of a step', async () => {
  const steps = `RUN cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; env`;
  const lines = await attack.lines(steps, [], { CANARY_ENV: attack.canary });
  assert.ok(lines.some((line) => line.startsWith('PATH=')));
  assert.deepEqual(
    lines.filter((line) => line.includes('CANARY')),
    [],
  );
});

test('A5 an entry of an image’s environment without a value takes none of the caller’s (CVE-2026-57231)', async () => {
  await using registry = await startHostileRegistry(path.join(attack.world.directory, 'busybox.tar'));
  const name = registry.image('env', { config: { Env: ['CANARY_ENV', 'CANARY_*', '*', '', '=x', 'A=B=C', 'PATH=/bin'] } });
  const env = { ...process.env, CANARY_ENV: attack.canary };
  const { code, stdout } = await attack.world.tsbuild(['run', '--network', 'none', name, 'env'], { env });
  assert.equal(code, 0);
  assert.deepEqual(stdout.trim().split('\n').sort(), ['A=B=C', 'HOME=/root', 'PATH=/bin']);
});

test('A6 a step has no terminal, even when tsbuild has one', { skip: !hasProgram('script') }, async () => {
  const context = attack.world.context({
    Dockerfile:
      'FROM busybox\nRUN tty; test -t 1 || test -t 2 || echo no terminal; (: </dev/tty) 2>&1 | grep -o "No such device or address"\n',
  });
  const command = `${process.execPath} ${BIN} --progress=plain --no-cache --network=none ${context}`;
  const { stdout } = await runCommand('script', ['-qec', command, '/dev/null'], {
    env: { ...process.env, TSBUILD_ROOT: attack.world.root },
  });
  assert.match(stdout, /not a tty/);
  assert.match(stdout, /no terminal/);
  assert.match(stdout, /No such device or address/);
});

test('A7 keys are hidden', async () => {
  assert.deepEqual(await attack.lines('RUN wc -c < /proc/keys'), ['0']);
});

test('A8 a user other than root has no capability, by whatever way it became one (CVE-2022-24769)', async () => {
  const show = `grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | tr '\\n' ' '; echo`;
  const [none, full] = ['0000000000000000', '00000000a80425fb'];
  const lines = await attack.lines(
    `RUN ${show}\nRUN su app -c "${show.replaceAll('\\', '\\\\')}"\nUSER app\nRUN ${show}\nUSER 4711\nRUN ${show}`,
  );
  const user = [none, none, none, full, none].join(' ');
  assert.deepEqual(
    lines.map((line) => line.trim()),
    [[none, full, full, full, none].join(' '), user, user, user],
  );
});

test('A9 groups are the user’s own, and a file that shuts out a group stays shut (CVE-2022-2990)', async () => {
  const lines = await attack.lines(
    'RUN echo x > /shut && chgrp 1000 /shut && chmod 0604 /shut\nUSER app\nRUN id -G; cat /shut 2>/dev/null || echo shut\nUSER app:10\nRUN id -G\nUSER 7\nRUN id -G',
  );
  assert.deepEqual(lines, ['1000 10', 'shut', '10', '0']);
});

test('A10 no spelling of a user becomes root (CVE-2024-40635)', async () => {
  for (const user of ['4294967296', '2147483648', '0x0', '"+0"', '٠', '1e3', '-1', '01']) {
    const { code, stderr } = await attack.build(`RUN echo '4294967296:x:0:0::/:/bin/sh' >> /etc/passwd\nUSER ${user}\nRUN id -u`);
    if (code === 0) assert.match(stderr, /#\d+ \d+\.\d+ 1\n/);
    else assert.match(stderr, /USER_NOT_FOUND/);
  }
});

test('A11 /etc/passwd and /etc/group may be anything (CVE-2026-47262)', async () => {
  const link = (to: string) => `ln -s ${to} /etc/passwd`;
  for (const shape of [
    'mkfifo /etc/passwd',
    'mkdir /etc/passwd',
    'mknod /etc/passwd c 1 5',
    link('/proc/self/environ'),
    link('/dev/zero'),
    link(`/../..${attack.victim}/canary`),
    'truncate -s 10G /etc/passwd',
  ]) {
    const started = performance.now();
    const { code } = await attack.build(`RUN rm /etc/passwd && ${shape}\nUSER app\nRUN id`);
    assert.equal(code, 1, shape);
    assert.ok(performance.now() - started < 20_000, shape);
  }
  attack.assertUnharmed();
});

test('A12 no program or library of an image runs in the build itself (CVE-2019-14271)', async () => {
  const trojan = `printf '#!/bin/sh\\necho trojan ran\\n' > $f; chmod 755 $f`;
  const context = attack.world.context({
    Dockerfile: `FROM busybox\nRUN rm /bin/gzip /bin/tar /bin/xz; for f in /usr/bin/gzip /usr/bin/tar /usr/bin/xz /usr/bin/unpigz /usr/bin/git /bin/gzip /bin/tar; do ${trojan}; done\nADD a.tar.gz /x/\nRUN cat /x/file\n`,
  });
  writeFileSync(path.join(context, 'file'), 'content\n');
  execFileSync('tar', ['-czf', path.join(context, 'a.tar.gz'), '-C', context, 'file']);
  const { code, stderr } = await attack.world.tsbuild(['--progress=plain', '--network=none', context]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, / content\n/);
  assert.doesNotMatch(stderr, /#\d+ \d+\.\d+ trojan ran/);
});

test('A13 a step ends with its command, and what it left running with it', async () => {
  const started = performance.now();
  await attack.lines("RUN (sleep 98765 &); setsid nohup sh -c 'sleep 98765; sleep 98765' & echo done");
  assert.ok(performance.now() - started < 60_000);
  const left = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid) === 'sleep\x0098765\0');
  assert.deepEqual(left, []);
});

test('A14 an unknown word for security or network is refused, and every step has a filter', async () => {
  for (const flag of ['--security=foo', '--security=', '--security=Insecure', '--security=INSECURE', '--network=xyz', '--network=Host'])
    assert.equal((await attack.build(`RUN ${flag} echo it ran`, ['--allow', 'security.insecure'])).code, 1, flag);
  assert.deepEqual(await attack.lines('RUN --security=sandbox grep Seccomp: /proc/self/status | cut -f2'), ['2']);
});

test('A15 --security=insecure needs a word of the command line (CVE-2024-23653)', async () => {
  const { code, stderr } = await attack.build('RUN --security=insecure mount -t tmpfs none /tmp && echo mounted');
  assert.equal(code, 1);
  assert.match(stderr, /NOT_ALLOWED/);
});

test('A16 /proc and /sys are ours, whatever the image has there (CVE-2019-16884)', async () => {
  const places = [
    `ln -s ${attack.victim} /proc`,
    'ln -s tmp /proc',
    'echo x > /proc',
    'ln -s / /sys',
    'mkdir -p /tmp/attr && ln -s tmp /proc',
  ];
  for (const change of places) {
    const tar = path.join(attack.world.directory, 'proc.tar');
    const name = change.endsWith('/sys') ? 'sys' : 'proc';
    const root = path.join(attack.world.directory, 'proc.d');
    execFileSync('sh', [
      '-c',
      `rm -rf ${root} && mkdir ${root} && tar -xf ${attack.world.directory}/busybox.tar -C ${root} && cd ${root} && ${change.replace(`/${name}`, name).replace('/tmp/attr', 'tmp/attr')} && tar -cf ${tar} .`,
    ]);
    await attack.world.succeed(['import', tar, 'odd:latest']);
    const { stderr } = await attack.world.tsbuild([
      '--progress=plain',
      '--no-cache',
      '--network=none',
      attack.world.context({ Dockerfile: 'FROM odd\nRUN cat /proc/canary /sys/canary; echo x > /proc/canary; mkdir /proc/new' }),
    ]);
    assert.ok(!stderr.includes(attack.canary));
  }
  attack.assertUnharmed();
});

function hasProgram(name: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((directory) => readdirOf(directory).includes(name));
}

function readdirOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
