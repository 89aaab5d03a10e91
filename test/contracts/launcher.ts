/** What every launcher has to keep: real containers, as root. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerSpec } from '../../src/sandbox/container-spec.ts';
import type { Launcher } from '../../src/sandbox/launcher.ts';
import type { ContainerIo, RunningCommand } from '../../src/sandbox/run-container.ts';
import { dumpable } from '../../src/sys/process.ts';
import { type Box, makeBox, type Outcome, run } from '../sandbox/_busybox.ts';

const DENIED = /Operation not permitted|Permission denied/;

export function launcherContract(name: string, load: () => Promise<Launcher>): void {
  describe(`runContainer by the ${name}`, () => {
    let box: Box;
    let launcher: Launcher;
    const step = (command: string | readonly string[], options: Parameters<typeof run>[2] = {}): Promise<Outcome> =>
      run(box, command, { ...options, io: { launcher, ...options.io } });

    before(async () => {
      launcher = await load();
      box = makeBox();
    });
    after(() => box.close());

    it('runs the command in namespaces of its own', async () => {
      const names = ['mnt', 'pid', 'uts', 'ipc', 'cgroup', 'net'];
      const { stdout } = await step(names.map((ns) => `readlink /proc/self/ns/${ns}`).join(';'));
      const inside = stdout.trim().split('\n');
      names.forEach((ns, index) => {
        assert.match(inside[index] ?? '', new RegExp(`^${ns}:\\[\\d+\\]$`));
        assert.notEqual(inside[index], readlinkSync(`/proc/self/ns/${ns}`));
      });
      assert.equal((await step('readlink /proc/self/ns/user')).stdout.trim(), readlinkSync('/proc/self/ns/user'));
    });

    it('keeps the namespace of the host where the network is the host’s', async () => {
      const { stdout } = await step('readlink /proc/self/ns/net', { spec: { network: 'host' } });
      assert.equal(stdout.trim(), readlinkSync('/proc/self/ns/net'));
    });

    it('has a loopback that is up where there is no network', async () => {
      const { stdout } = await step('ip addr show lo; ping -c 1 -W 1 127.0.0.1 > /dev/null && echo reached; ls /sys/class/net');
      assert.match(stdout, /<LOOPBACK,UP/);
      assert.match(stdout, /reached\nlo\n$/);
    });

    it('opens no descriptors but 0, 1 and 2', async () => {
      const { stdout } = await step(['ls', '/proc/self/fd']);
      assert.deepEqual(stdout.trim().split('\n'), ['0', '1', '2', '3']);
      assert.match(
        (await step('cat /proc/1/fd/3; ls /proc/1/root/; cat /proc/1/environ; cat /proc/1/exe; true')).stderr,
        /(Permission denied[\s\S]*){4}/,
      );
    });

    it('gives root exactly the default capabilities, a filter, and no ignored or blocked signal', async () => {
      const { stdout } = await step(['grep', '-E', '^(Cap|Seccomp:|SigIgn|SigBlk|NoNewPrivs|Groups)', '/proc/self/status']);
      assert.deepEqual(statusFields(stdout), {
        Groups: '0',
        SigBlk: '0000000000000000',
        SigIgn: '0000000000000000',
        CapInh: '0000000000000000',
        CapPrm: '00000000a80425fb',
        CapEff: '00000000a80425fb',
        CapBnd: '00000000a80425fb',
        CapAmb: '0000000000000000',
        NoNewPrivs: '0',
        Seccomp: '2',
      });
    });

    it('gives another user its ids and no capability', async () => {
      const process = { uid: 1000, gid: 1001, groups: [1001, 7] };
      const { stdout } = await step('grep -E "^(Cap|Uid|Gid|Groups)" /proc/self/status; ls -ld /proc/self/fd; touch /no', { process });
      const fields = statusFields(stdout);
      assert.deepEqual([fields['Uid'], fields['Gid'], fields['Groups']], ['1000\t1000\t1000\t1000', '1001\t1001\t1001\t1001', '7 1001']);
      assert.deepEqual(
        [fields['CapPrm'], fields['CapEff'], fields['CapBnd']],
        ['0000000000000000', '0000000000000000', '00000000a80425fb'],
      );
    });

    it('passes the environment, the working directory and the umask, and nothing of the caller’s', async () => {
      process.env['TSBUILD_CANARY'] = 'of the caller';
      const env = ['PATH=/bin', 'A=B=C', '__proto__=x', 'EMPTY=', 'UTF8=grün'];
      const { stdout } = await step(['env'], { process: { env } });
      assert.equal(Buffer.from(stdout, 'latin1').toString('utf8'), `${env.join('\n')}\n`);
      assert.equal(
        (await step('pwd; umask; hostname; cat /etc/hosts', { process: { cwd: '/etc' } })).stdout,
        '/etc\n0022\nbox\n127.0.0.1 localhost\n',
      );
    });

    it('refuses a working directory behind a magic link', async () => {
      for (const cwd of ['/proc/self/fd/3', '/proc/self/root', '/proc/1/cwd']) {
        await assert.rejects(step(['true'], { process: { cwd } }), { code: 'ERR_TSBUILD_SYSCALL_FAILED', errno: 'ELOOP' });
      }
    });

    it('hides and write-protects what Docker does', async () => {
      const { stdout } = await step(
        'for f in interrupts keys timer_list kcore sched_debug; do test -e /proc/$f && cat /proc/$f | wc -c; done; ls /proc/acpi /sys/firmware | grep -v :',
      );
      assert.match(stdout, /^[0\n]+$/);
      const { stderr } = await step(
        'echo x > /proc/sys/kernel/core_pattern; echo x > /proc/irq/default_smp_affinity; touch /sys/x; echo > /etc/hosts',
      );
      assert.equal(stderr.match(/Read-only file system/g)?.length, stderr.trim().split('\n').length);
      assert.ok(stderr.trim().split('\n').length >= 4, stderr);
    });

    it('opens no device but the six of /dev', async () => {
      assert.equal(
        (await step('head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/null && echo written; echo > /dev/full'))
          .stdout,
        '4\n4\nwritten\n',
      );
      const { stderr, exitCode } = await step('for d in / /dev/ /dev/shm/ /tmp/; do mknod $d/n c 1 3 && cat $d/n; done');
      assert.equal(exitCode, 1);
      assert.equal(stderr.match(new RegExp(DENIED, 'g'))?.length, 4);
    });

    it('shares no mount with the host and leaves none there', async () => {
      // All mounts of a container are made below its box; others come and go on a machine as they like.
      const ofBox = () =>
        readFileSync('/proc/self/mountinfo', 'utf8')
          .split('\n')
          .filter((line) => line.includes(box.directory));
      let during: string[] = ['never looked'];
      const io: Partial<ContainerIo> = { onStarted: () => (during = ofBox()) };
      const { stdout, stderr } = await step('cat /proc/self/mountinfo; mount -t tmpfs t /tmp; umount /proc/keys', { io });
      assert.doesNotMatch(stdout, /shared:|master:/);
      assert.match(stdout, /^\S+ \S+ \S+ \/ \/ rw,nodev,relatime - overlay/);
      assert.match(stderr, DENIED);
      assert.deepEqual([during, ofBox()], [[], []]);
    });

    it('lets a step open its streams by name', async () => {
      assert.deepEqual(
        await step('echo x > /dev/stdout; echo y > /dev/stderr; echo z > /proc/self/fd/1; cat < /dev/stdin; test -t 0 || echo none'),
        {
          exitCode: 0,
          stdout: 'x\nz\nnone\n',
          stderr: 'y\n',
        },
      );
    });

    it('lets a step of another user open its streams by name', async () => {
      const process = { uid: 1000, gid: 1000, groups: [1000] };
      assert.deepEqual(await step('echo x > /dev/stdout; echo y > /proc/self/fd/2', { process }), {
        exitCode: 0,
        stdout: 'x\n',
        stderr: 'y\n',
      });
    });

    it('delivers all output in order', async () => {
      const { stdout } = await step('seq 1 100000');
      assert.equal(stdout, Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join(''));
    });

    it('gives the command a terminal of the container’s own, and no caller’s', async () => {
      const terminal = { columns: 81, rows: 23 };
      const script =
        'test -t 0 && test -t 1 && test -t 2 && readlink /proc/self/fd/0; stat -c %u:%g:%a /dev/pts/0; stty size; ls -1 /proc/self/fd; : > /dev/tty && echo controlling; stat -c %t:%T /dev/console';
      const { stdout, exitCode } = await step(script, { process: { terminal, uid: 1000, gid: 1000, groups: [1000] } });
      assert.equal(exitCode, 0);
      assert.equal(stdout.replaceAll('\r\n', ' '), '/dev/pts/0 1000:5:620 23 81 0 1 2 3 controlling 88:0 ');
    });

    it('tells the size of the terminal when it changes', async () => {
      let output = '';
      let resize: ((size: { columns: number; rows: number }) => void) | undefined;
      const io: Partial<ContainerIo> = {
        resizes: (listener) => {
          resize = listener;
          return () => undefined;
        },
        // Not before the shell has its trap: without one it ignores the signal.
        onOutput: (_, data) => {
          if (output === '') resize?.({ columns: 100, rows: 40 });
          output += String(Buffer.from(data));
        },
      };
      const script = 'trap "stty size; exit 3" WINCH; echo ready; while :; do sleep 0.05; done';
      const { exitCode } = await step(script, { process: { terminal: { columns: 80, rows: 24 } }, io });
      assert.deepEqual([exitCode, output], [3, 'ready\r\n40 100\r\n']);
    });

    it('says when the command has been executed, and only then', async () => {
      const told: string[] = [];
      await step(['true'], { io: { onStarted: () => told.push('true') } });
      await assert.rejects(step(['missing'], { io: { onStarted: () => told.push('missing') } }), { code: 'ERR_TSBUILD_RUN_NOT_STARTED' });
      assert.deepEqual(told, ['true']);
    });

    it('gives SIGPIPE its meaning back', async () => {
      assert.deepEqual(await step('(yes; echo "yes: $?" >&2) | head -n 1'), { exitCode: 0, stdout: 'y\n', stderr: 'yes: 141\n' });
    });

    it('tells exit codes and signals', async () => {
      assert.equal((await step('exit 42')).exitCode, 42);
      assert.equal((await step('kill -TERM $$')).signal, 'SIGTERM');
      assert.equal((await step('kill -KILL $$')).signal, 'SIGKILL');
      assert.equal((await step('kill -KILL 1; echo alive')).stdout, 'alive\n');
    });

    it('says which command cannot be started', async () => {
      await assert.rejects(step(['no-such-command']), {
        code: 'ERR_TSBUILD_RUN_NOT_STARTED',
        message: /Cannot start "no-such-command": not found in PATH/,
      });
      await assert.rejects(step(['/etc/hosts']), { code: 'ERR_TSBUILD_RUN_NOT_STARTED', message: /EACCES/ });
    });

    it('names the operation that failed', async () => {
      const mounts = [{ kind: 'tmpfs', target: '/missing' }] as const;
      await assert.rejects(step(['true'], { spec: { mounts } }), {
        code: 'ERR_TSBUILD_SYSCALL_FAILED',
        message: /Cannot openat2 \/missing in the container .*: ENOENT/,
      });
    });

    it('mounts no pseudo file system where a link of the image leads', async () => {
      const trap = makeBox((lower) => symlinkSync('etc', join(lower, 'link')));
      try {
        const mounts = [{ kind: 'proc', target: '/link' }] as const;
        await assert.rejects(run(trap, ['true'], { spec: { mounts }, io: { launcher } }), { errno: 'ELOOP' });
      } finally {
        trap.close();
      }
    });

    it('ends with its command, whatever that left running', async () => {
      const { stdout } = await step(`(sleep 1000.${process.pid} &) ; setsid sh -c "sleep 1001.${process.pid}" & echo done`);
      assert.equal(stdout, 'done\n');
      assert.deepEqual(processes(new RegExp(`sleep\\x00100[01]\\.${process.pid}\\0`)), []);
    });

    it('is killed by its signal', async () => {
      const controller = new AbortController();
      const onOutput = () => controller.abort(new Error('Enough'));
      await assert.rejects(step(`echo ready; sleep 1002.${process.pid}`, { io: { signal: controller.signal, onOutput } }), /Enough/);
      assert.deepEqual(processes(new RegExp(`sleep\\x001002\\.${process.pid}\\0`)), []);
    });

    it('passes signals to the command, or to its process group', async () => {
      const outcome = async (command: string, to: 'command' | 'group') => {
        let running: RunningCommand | undefined;
        const { stdout, exitCode, signal } = await step(command, {
          io: { onStart: (started) => (running = started), onOutput: (_, data) => ready(String(data)) },
        });
        function ready(text: string): void {
          seen += text;
          if (text.includes('ready')) running?.signal('SIGTERM', to);
        }
        return { stdout, exitCode, signal };
      };
      let seen = '';
      assert.equal((await outcome('echo ready; exec sleep 30', 'command')).signal, 'SIGTERM');
      // A shell minds its trap when what it waits for has ended: the group's signal ends that, too.
      const trapped = await outcome('trap "echo cleaned; exit 3" TERM; (echo ready; sleep 30)', 'group');
      assert.equal(trapped.exitCode, 3);
      assert.match(seen, /cleaned/);
    });

    it('keeps a signal that is sent before the command is there', async () => {
      const { signal } = await step('sleep 30', { io: { onStart: (running) => running.signal('SIGUSR1') } });
      assert.equal(signal, 'SIGUSR1');
    });

    it('shows a step no descriptor that tsbuild inherited', async () => {
      const code = `
        import { makeBox, run } from ${JSON.stringify(new URL('../sandbox/_busybox.js', import.meta.url))};
        import { chooseLauncher } from ${JSON.stringify(new URL('../../src/sandbox/launcher.js', import.meta.url))};
        const box = makeBox();
        try { process.stdout.write((await run(box, ['ls', '/proc/self/fd'], { io: { launcher: await chooseLauncher(${JSON.stringify(name)}) } })).stdout); } finally { box.close(); }`;
      const { stdout } = await shell(`exec 9</ 10</ 63</etc 200</ 251</etc/passwd; exec "$0" --input-type=module -e "$1"`, [
        process.execPath,
        code,
      ]);
      assert.deepEqual(stdout.trim().split('\n'), ['0', '1', '2', '3']);
    });

    it('leaves nothing when tsbuild is killed at any moment', async () => {
      const mark = `mark-${process.pid}-${name}`;
      const script = `// ${mark}
        import { makeBox, run } from ${JSON.stringify(new URL('../sandbox/_busybox.js', import.meta.url))};
        import { chooseLauncher } from ${JSON.stringify(new URL('../../src/sandbox/launcher.js', import.meta.url))};
        const launcher = await chooseLauncher(${JSON.stringify(name)});
        const box = makeBox();
        process.stdout.write(box.directory + '\\n');
        for (;;) await run(box, 'sleep 0.0' + Math.floor(Math.random() * 5) + ' # ' + box.directory, { io: { launcher } });`;
      for (let round = 0; round < (name === 'engine' ? 50 : 10); round++) {
        const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
        const directory = await new Promise<string>((resolve) => child.stdout.once('data', (data) => resolve(String(data).trim())));
        await sleep(Math.random() * (name === 'engine' ? 60 : 300));
        child.kill('SIGKILL');
        await new Promise((resolve) => child.once('exit', resolve));
        // Helpers on their way end when they see that tsbuild has. Twice in a row: a process may begin while the list is read.
        const left = () => leftovers([directory, mark, `\0${child.pid}\0`]);
        let quiet = 0;
        await until(() => {
          quiet = left().length === 0 ? quiet + 1 : 0;
          return quiet === 2;
        });
        assert.deepEqual(left(), [], `round ${round}`);
        rmSync(directory, { recursive: true, force: true });
      }
    });

    it('copies standard input to a step that inherits it', async () => {
      const script = `
        import { makeBox, run } from ${JSON.stringify(new URL('../sandbox/_busybox.js', import.meta.url))};
        import { chooseLauncher } from ${JSON.stringify(new URL('../../src/sandbox/launcher.js', import.meta.url))};
        const box = makeBox();
        const launcher = await chooseLauncher(${JSON.stringify(name)});
        try { process.stdout.write((await run(box, ['cat'], { io: { launcher, stdin: 'inherit' } })).stdout); } finally { box.close(); }`;
      assert.equal(
        (await shell('echo through a pipe | "$0" --input-type=module -e "$1"', [process.execPath, script])).stdout,
        'through a pipe\n',
      );
    });

    it('says what is missing where the caller may not isolate', async () => {
      const script = `
        import { makeBox, run } from ${JSON.stringify(new URL('../sandbox/_busybox.js', import.meta.url))};
        import { chooseLauncher } from ${JSON.stringify(new URL('../../src/sandbox/launcher.js', import.meta.url))};
        const box = makeBox();
        const launcher = await chooseLauncher(${JSON.stringify(name)});
        try { await run(box, ['true'], { io: { launcher } }); } catch (error) { console.log(error.code, error.message); } finally { box.close(); }`;
      const { stdout } = await shell('exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0" --input-type=module -e "$1"', [
        process.execPath,
        script,
      ]);
      assert.equal(
        stdout,
        'ERR_TSBUILD_PRIVILEGE Cannot isolate a RUN step: this process may make no namespaces, for it lacks CAP_SYS_ADMIN\n',
      );
    });

    it('takes layers and directories whose names separate options, and no more of them than a page holds', async () => {
      const names = ['a,b', 'c:d', 'e\\f', ...Array.from({ length: 125 }, (_, index) => `${index}-layer`)];
      const layered = makeBox();
      try {
        for (const layer of names) mkdirSync(join(layered.directory, layer));
        for (const layer of names) writeFileSync(join(layered.directory, layer, layer), '');
        const counted = async (lower: readonly string[]) => {
          const rootfs = { cwd: layered.directory, lower, upper: 'u', work: 'w', merged: 'm' };
          return (await run(layered, 'ls / | grep -c "[,:\\\\-]"', { spec: { rootfs }, io: { launcher } })).stdout;
        };
        assert.equal(await counted([...names, 'l']), '128\n');
        await assert.rejects(
          counted(Array.from({ length: 450 }, (_, index) => `${index}-layer`)),
          /450 layers are more than a mount takes/,
        );
      } finally {
        layered.close();
      }
    });

    it('runs on a bare directory where there is no layer', async () => {
      const bare = makeBox();
      try {
        const rootfs = { cwd: bare.directory, lower: [], upper: 'l', work: 'w', merged: 'm' };
        assert.equal((await run(bare, 'echo x > /made; cat /made', { spec: { rootfs }, io: { launcher } })).stdout, 'x\n');
        assert.equal(readFileSync(join(bare.directory, 'l/made'), 'utf8'), 'x\n');
      } finally {
        bare.close();
      }
    });

    it('binds files and directories of the host, and fresh tmpfs, as the spec says', async () => {
      const mounts = [
        ...box.spec.mounts,
        { kind: 'bind', target: '/tmp', hostPath: join(box.directory, 'l/etc'), access: 'read-only' },
        { kind: 'bind', target: '/root', hostPath: join(box.directory, 'l/root'), access: 'read-write' },
        { kind: 'tmpfs', target: '/etc', bytes: 65536, mode: 0o700 },
      ] as const;
      const { stdout, stderr } = await step('ls /tmp; touch /tmp/x; touch /root/y; ls -ld /etc; ls /etc', { spec: { mounts } });
      assert.match(stdout, /^hosts\nresolv.conf\ndrwx------ /);
      assert.match(stderr, /^touch: \/tmp\/x: Read-only file system\n$/);
      assert.deepEqual(readdirSync(join(box.directory, 'l/root')), ['y']);
    });

    it('mounts what is at a place in layers, found inside them whatever links there are', async () => {
      const other = join(box.directory, 'other');
      for (const directory of ['other/top/d', 'other/bottom/d', 'other/up', 'other/work'])
        mkdirSync(join(box.directory, directory), { recursive: true });
      writeFileSync(join(other, 'bottom/d/below'), 'below');
      writeFileSync(join(other, 'top/d/above'), 'above');
      symlinkSync('../../../../../../', join(other, 'top/up'));
      symlinkSync('/d', join(other, 'top/link'));
      const stack = { cwd: other, lower: ['top', 'bottom'] };
      const type = 'directory';
      const mounts: ContainerSpec['mounts'] = [
        { kind: 'layers', target: '/tmp', layers: stack, source: '/link', type, access: 'read-only' },
        {
          kind: 'layers',
          target: '/root',
          layers: { ...stack, writable: { upper: 'up', work: 'work' } },
          source: '/up',
          type,
          access: 'read-write',
        },
        { kind: 'layers', target: '/etc', layers: { cwd: other, lower: [] }, source: '/', type, access: 'read-only' },
      ];
      const { stdout, exitCode } = await step('ls /tmp /root /etc; touch /tmp/x 2>&1; rm /root/d/below && touch /root/new && ls /root/d', {
        spec: { mounts: [...box.spec.mounts, ...mounts] },
      });
      assert.equal(exitCode, 0);
      assert.equal(stdout, '/etc:\n\n/root:\nd\nlink\nup\n\n/tmp:\nabove\nbelow\ntouch: /tmp/x: Read-only file system\nabove\n');
      assert.deepEqual(readdirSync(join(other, 'bottom/d')), ['below']);
      rmSync(other, { recursive: true });
    });

    it('mounts bytes as a file of their owner, which is a program where its mode says so', async () => {
      const bytes = (text: string) => Buffer.from(text).toString('base64');
      const mounts: ContainerSpec['mounts'] = [
        {
          kind: 'bytes',
          target: '/dev/a/b/program',
          make: { inside: '/dev', type: 'file' },
          bytes: bytes('#!/bin/sh\necho ran\n'),
          owner: { mode: 0o755, uid: 0, gid: 0 },
        },
        {
          kind: 'bytes',
          target: '/dev/data',
          make: { inside: '/dev', type: 'file' },
          bytes: bytes('#!/bin/sh\nexit\n'),
          owner: { mode: 0o440, uid: 5, gid: 6 },
        },
        { kind: 'bytes', target: '/dev/empty', make: { inside: '/dev', type: 'file' }, bytes: '', owner: { mode: 0o400, uid: 0, gid: 0 } },
      ];
      const { stdout } = await step(
        '/dev/a/b/program; stat -c "%a %u %g" /dev/data; mount | grep -c "/dev/data type tmpfs (ro,nosuid,nodev,noexec"; stat -c %s /dev/empty; echo x > /dev/data',
        {
          spec: { mounts: [...box.spec.mounts, ...mounts] },
        },
      );
      assert.equal(stdout, 'ran\n440 5 6\n1\n0\n');
    });

    it('makes targets inside other mounts, but not in those that are read-only', async () => {
      const inside = (access: 'read-only' | 'read-write'): ContainerSpec['mounts'] => [
        ...box.spec.mounts,
        { kind: 'tmpfs', target: '/tmp', access },
        { kind: 'tmpfs', target: '/tmp/a/b', make: { inside: '/tmp', type: 'directory' } },
      ];
      assert.equal((await step('touch /tmp/a/b/x; ls /tmp/a/b', { spec: { mounts: inside('read-write') } })).stdout, 'x\n');
      await assert.rejects(step('true', { spec: { mounts: inside('read-only') } }), /to mount on.*EROFS/);
    });

    it('runs many containers at once', async () => {
      const boxes = Array.from({ length: name === 'engine' ? 12 : 3 }, () => makeBox());
      try {
        const ends = await Promise.all(
          boxes.map((each, index) => run(each, `echo ${index}; sleep 0.1; exit ${index}`, { io: { launcher } })),
        );
        assert.deepEqual(
          ends.map(({ exitCode, stdout }) => [exitCode, stdout]),
          boxes.map((_, index) => [index, `${index}\n`]),
        );
      } finally {
        for (const each of boxes) each.close();
      }
    });

    it('leaves tsbuild as traceable as it was after a step of another user', async () => {
      await step(['true'], { process: { uid: 1000, gid: 1000, groups: [1000] } });
      assert.equal(dumpable(), 1);
    });

    it('leaves no descriptor open in tsbuild', async () => {
      const count = () => readdirSync('/proc/self/fd').length;
      // Sockets close on a later turn of the event loop.
      await step(['true']);
      await until(() => false, { intervals: 5 });
      const before = count();
      for (let index = 0; index < 5; index++) await step(['true']);
      await assert.rejects(step(['no-such-command']));
      await until(() => count() === before);
      assert.equal(count(), before);
    });
  });
}

function statusFields(text: string): Record<string, string> {
  const lines = text
    .trim()
    .split('\n')
    .filter((line) => /^\w+:/.test(line));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
}

/** Processes of the machine whose command line matches. */
function processes(pattern: RegExp): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && pattern.test(read(`/proc/${pid}/cmdline`)));
}

/** Processes of the box's containers, in whatever state of becoming one; with what they say of themselves. */
function leftovers(marks: readonly string[]): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return [];
    const said = whatIsSaidOf(pid);
    return marks.some((mark) => said.includes(mark)) ? [`${pid} ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`] : [];
  });
}

/**
 * At first a process has tsbuild's command line, with the mark; a helper has tsbuild's PID on its own. Before the pivot the box
 * is in the mount table, afterwards its directory is on the command line.
 */
function whatIsSaidOf(pid: string): string {
  return read(`/proc/${pid}/cmdline`) + read(`/proc/${pid}/mountinfo`);
}

/** Looks again and again until it is so; gives up after a minute, which only a fault takes. */
async function until(isSo: () => boolean, { intervals = 3000 } = {}): Promise<void> {
  for (let count = 0; count < intervals && !isSo(); count++) await sleep(20);
}

/** '' once the process has gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EINVAL'].includes(String((error as NodeJS.ErrnoException).code))) return '';
    throw error;
  }
}

function shell(script: string, args: readonly string[]): Promise<{ stdout: string }> {
  return new Promise((resolve) => {
    const child = spawn('bash', ['-c', script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.on('data', (data) => {
      stdout += String(data);
    });
    child.once('close', () => resolve({ stdout }));
  });
}
