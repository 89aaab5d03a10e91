/** What every launcher has to keep of a step in a chroot: real ones, as root, with the machine's /proc mounted into it to look at. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_CAPABILITIES } from '../../src/sandbox/container-defaults.ts';
import type { ContainerSpec, ProcessSpec } from '../../src/sandbox/container-spec.ts';
import type { Launcher } from '../../src/sandbox/launcher.ts';
import { type ContainerExit, type ContainerIo, runContainer } from '../../src/sandbox/run-container.ts';
import { commandLine, eventually, processesWith } from '../end-to-end/_processes.ts';

const CAPABILITIES = DEFAULT_CAPABILITIES.filter((name) => name !== 'CAP_SYS_CHROOT' && name !== 'CAP_MKNOD');

export function chrootContract(name: string, load: () => Promise<Launcher>): void {
  describe(`runContainer in a chroot by the ${name}`, () => {
    let directory: string;
    let launcher: Launcher;
    let count = 0;
    /** Told apart from other tests' by its number. */
    const daemon = () => `${4000 + count++}.${process.pid}`;

    before(async () => {
      launcher = await load();
      directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-chroot-'));
      chmodSync(directory, 0o755);
      for (const each of ['bin', 'dev', 'etc', 'proc', 'tmp']) mkdirSync(path.join(directory, each));
      cpSync('/bin/busybox', path.join(directory, 'bin/busybox'));
      for (const applet of 'sh cat echo grep id kill ls pwd sleep readlink setsid chroot mknod su true wc ip cut'.split(' '))
        symlinkSync('busybox', path.join(directory, 'bin', applet));
      writeFileSync(path.join(directory, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n');
      symlinkSync('../..', path.join(directory, 'tmp/up'));
      // What a shell gives to a command in the background.
      execFileSync('mknod', ['-m', '666', path.join(directory, 'dev/null'), 'c', '1', '3']);
      execFileSync('mount', ['-t', 'proc', 'proc', path.join(directory, 'proc')]);
    });
    after(() => {
      execFileSync('umount', [path.join(directory, 'proc')]);
      rmSync(directory, { recursive: true, force: true });
    });

    const step = async (
      command: string,
      {
        spec = {},
        process: own = {},
        io = {},
      }: { spec?: Partial<ContainerSpec>; process?: Partial<ProcessSpec>; io?: Partial<ContainerIo> } = {},
    ): Promise<ContainerExit & { stdout: string; stderr: string }> => {
      const output = { stdout: '', stderr: '' };
      const end = await runContainer(specOf(directory, command, own, spec), {
        ...{ stdin: 'empty', launcher, signal: new AbortController().signal },
        networks: { take: () => Promise.reject(new Error('A chroot has no network of its own')) },
        onOutput: (stream, data) => {
          output[stream] += Buffer.from(data).toString('latin1');
        },
        ...io,
      });
      return { ...end, ...output };
    };

    it('has another root, and no namespace but those of tsbuild', async () => {
      const names = ['mnt', 'pid', 'uts', 'ipc', 'cgroup', 'net', 'user'];
      const { stdout } = await step(`pwd; ls /; ${names.map((each) => `readlink /proc/self/ns/${each}`).join('; ')}`);
      const [cwd, ...lines] = stdout.trim().split('\n');
      assert.deepEqual([cwd, ...lines.splice(0, 5)], ['/', 'bin', 'dev', 'etc', 'proc', 'tmp']);
      assert.deepEqual(
        lines,
        names.map((each) => readlinkSync(`/proc/self/ns/${each}`)),
      );
    });

    it('has a network namespace with nothing in it where none is wanted', async () => {
      const { stdout } = await step('readlink /proc/self/ns/net; ip -o addr | cut -d" " -f2', { spec: { network: 'none' } });
      assert.match(stdout, /^net:\[\d+\]\nlo\n/);
      assert.notEqual(stdout.split('\n')[0], readlinkSync('/proc/self/ns/net'));
    });

    it('gives root fewer capabilities than tsbuild has, so that it can neither leave, nor make a device, nor trace tsbuild', async () => {
      const { stdout, stderr } = await step(
        `grep -E "^(Cap|Seccomp:|Groups)" /proc/self/status; chroot / true; mknod /tmp/n c 1 3; cat /proc/${process.pid}/fd/0; ls /proc/${process.pid}/root/; cat /proc/$PPID/fd/0; cat /proc/$PPID/environ`,
      );
      const set = '00000000a00025fb';
      const fields = Object.fromEntries([...stdout.matchAll(/^(\w+):\s*(.*)$/gm)].map(([, key, value]) => [key, value?.trim()]));
      assert.deepEqual(fields, {
        ...{ Groups: '0', CapInh: '0000000000000000', CapAmb: '0000000000000000', Seccomp: '2' },
        ...{ CapPrm: set, CapEff: set, CapBnd: set },
      });
      assert.match(stderr, /chroot: can't change root directory[^\n]*not permitted\nmknod: [^\n]*not permitted/);
      assert.equal(stderr.match(/Permission denied|Operation not permitted/g)?.length, 6, stderr);
    });

    it('gives another user nothing, though the process that ends the step may kill', async () => {
      const own = { uid: 1000, gid: 1001, groups: [1001, 7] };
      const { stdout } = await step('id -u; id -G; grep -E "^Cap(Inh|Prm|Eff|Amb)" /proc/self/status; grep CapEff /proc/$PPID/status', {
        process: own,
      });
      const none = ['Inh', 'Prm', 'Eff'].map((set) => `Cap${set}:\t0000000000000000`);
      assert.deepEqual(stdout.trim().split('\n'), ['1000', '1001 7', ...none, 'CapAmb:\t0000000000000000', 'CapEff:\t0000000000000020']);
    });

    it('opens no descriptors but 0, 1 and 2, and reads nothing', async () => {
      const { stdout } = await step('ls /proc/self/fd; cat | wc -c');
      assert.deepEqual(stdout.trim().split('\n'), ['0', '1', '2', '3', '0']);
      assert.deepEqual((await step('readlink /proc/self/cwd; readlink /proc/self/root', { process: { cwd: '/tmp/up' } })).stdout, '/\n/\n');
    });

    it('refuses a working directory behind a magic link', async () => {
      await assert.rejects(step('true', { process: { cwd: '/proc/self/root' } }), /Cannot openat2 the working directory[\s\S]*ELOOP/);
    });

    it('tells exit codes and signals, and what cannot be started', async () => {
      assert.equal((await step('exit 3')).exitCode, 3);
      assert.equal((await step('kill -TERM $$')).signal, 'SIGTERM');
      await assert.rejects(step('', { process: { argv: ['nothing'] } }), { code: 'ERR_TSBUILD_RUN_NOT_STARTED' });
    });

    it('ends with its command, whatever that left running', async () => {
      const [a, b, c] = [daemon(), daemon(), daemon()];
      const { stdout } = await step(
        `(sleep ${a} &); setsid sh -c "trap '' TERM HUP INT; sleep ${b}" & (while :; do (sleep ${c} &); done) & sleep 0.1; echo done`,
      );
      assert.equal(stdout, 'done\n');
      assert.deepEqual(
        [a, b, c].flatMap((each) => processesWith(`sleep ${each}`)),
        [],
      );
    });

    it('ends what an ordinary user has left to root', async () => {
      const left = daemon();
      rmSync(path.join(directory, 'bin/su'));
      cpSync('/bin/busybox', path.join(directory, 'bin/su'));
      chmodSync(path.join(directory, 'bin/su'), 0o4755);
      writeFileSync(path.join(directory, 'etc/passwd'), 'root::0:0:root:/:/bin/sh\nu:x:1000:1000:u:/:/bin/sh\n');
      writeFileSync(path.join(directory, 'etc/group'), 'root:x:0:\nu:x:1000:\n');
      const { stdout, stderr } = await step(`(/bin/su root -c "id -u; exec sleep ${left}" &) ; sleep 0.5`, {
        process: { uid: 1000, gid: 1000, groups: [1000] },
      });
      assert.equal(stdout, '0\n', stderr);
      assert.deepEqual(processesWith(`sleep ${left}`), []);
    });

    it('ends with its first process, whoever kills that', async () => {
      for (const uid of [0, 1000]) {
        const left = daemon();
        const { signal } = await step(`(setsid sleep ${left} &); (sleep ${left}; sleep ${left}) & kill -9 $PPID; sleep ${left}`, {
          process: { uid, gid: uid, groups: [uid] },
        });
        assert.equal(signal, 'SIGKILL');
        assert.deepEqual(processesWith(`sleep ${left}`), []);
      }
    });

    it('is ended by its signal, with all that it started', async () => {
      const left = daemon();
      const controller = new AbortController();
      const io = { signal: controller.signal, onOutput: () => controller.abort(new Error('Enough')) };
      await assert.rejects(step(`(setsid sleep ${left} &); echo ready; sleep ${left}`, { io }), /Enough/);
      assert.deepEqual(processesWith(`sleep ${left}`), []);
    });

    it('leaves nothing when tsbuild is killed', async () => {
      const left = daemon();
      const code = `
        import { runContainer } from ${JSON.stringify(new URL('../../src/sandbox/run-container.js', import.meta.url))};
        import { chooseLauncher } from ${JSON.stringify(new URL('../../src/sandbox/launcher.js', import.meta.url))};
        await runContainer(${JSON.stringify(specOf(directory, `(setsid sleep ${left} &); trap "" HUP TERM; (sleep ${left}; sleep ${left}) & sleep ${left}; sleep ${left}`))}, {
          stdin: 'empty', signal: new AbortController().signal, onOutput() {}, networks: {}, launcher: await chooseLauncher(${JSON.stringify(name)}),
        });`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'inherit', 'inherit'] });
      try {
        await eventually(() => (sleepers(left).length >= 3 ? true : undefined));
      } finally {
        child.kill('SIGKILL');
      }
      await eventually(() => (sleepers(left).length === 0 ? true : undefined));
      await sleep(50);
      assert.deepEqual(sleepers(left), []);
    });

    it('leaves no mount, no descriptor and no process of its own', async () => {
      const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
      await step('true');
      assert.equal(readFileSync('/proc/self/mountinfo', 'utf8'), mounts);
    });
  });
}

/** The programs, and not those that have their words on their command line. */
function sleepers(number: string): number[] {
  return processesWith(`sleep ${number}`).filter((pid) => commandLine(pid).startsWith('sleep '));
}

function specOf(directory: string, command: string, process: Partial<ProcessSpec> = {}, spec: Partial<ContainerSpec> = {}): ContainerSpec {
  const base = { argv: ['sh', '-c', command], env: ['PATH=/bin'], cwd: '/', uid: 0, gid: 0, groups: [0], umask: 0o022 };
  return {
    ...{ rootfs: { directory }, mounts: [], process: { ...base, ...process }, hostname: 'unused', isolation: 'chroot' },
    ...{ capabilities: CAPABILITIES, seccomp: 'default', devices: 'standard', maskedPaths: [], readonlyPaths: [], network: 'host' },
    ...spec,
  };
}
