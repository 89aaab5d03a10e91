/** tsbuild inside containers of Docker and podman: what they must be given, and what is said where they were given less. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type DockerDaemon, startDocker } from './_docker.ts';
import { emptyUserWorld } from './_rootless.ts';
import { BIN, type CommandResult, makeBusyboxRootfs, runCommand } from './_world.ts';

const tsbuild = `${process.execPath} ${BIN}`;
const DOCKERFILE = `FROM busybox
RUN rm -r /home && mkdir /home && echo files > /made && test "$(id -u)" = 0 && grep -q 'CapEff:.*00000000a80425fb' /proc/self/status
RUN test -d /home && ! test -e /home/app && cat /made
USER app
RUN test "$(id -un)" = app && ! (cat /proc/*/environ 2> /dev/null | grep -q hush) && ! mount -t tmpfs none /tmp && ls -d /proc/[0-9]* | wc -l
USER root
RUN if cat /proc/*/environ 2> /dev/null | grep -q hush; then echo seen; exit 1; fi; for p in /proc/[0-9]*; do if test -e $p/root${process.cwd()}/package.json; then echo $p leads out; exit 1; fi; done
`;

/** What a chroot can hold, built in three steps: the last looks for what the one before it has left running. */
const CHROOT = `FROM busybox
RUN test "$(id -u)$(hostname)" = 0outside && rm -r /home && mkdir /home && echo files > /made && echo > /dev/null && test -z "$(cat /dev/null)"
RUN test -d /home && ! test -e /home/app && cat /made && test ! -e /proc/self && grep -q outside /etc/hosts && mkdir /up && ! chroot /up true
RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t sh -c 'sleep 1000 & echo $! > /pid; echo "the number of the leftover: $!"' && touch /c/x /t/y
USER app
RUN --mount=type=cache,target=/c test "$(id -un)" = app && test -e /c/x && test ! -e /t && test ! -e /dev/pts && ! mknod /tmp/n c 1 3
USER root
RUN ! kill -0 $(cat /pid)
`;

interface Engine {
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
  /** Comes before the command. */
  readonly before?: readonly string[];
}

const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-in-'));
let docker: DockerDaemon;

before(async () => {
  makeBase(path.join(directory, 'base.tar'));
  mkdirSync(path.join(directory, 'context'));
  writeFileSync(path.join(directory, 'context/Dockerfile'), DOCKERFILE);
  docker = await startDocker(directory);
  execFileSync(docker.program, ['import', path.join(directory, 'base.tar'), 'base'], { env: docker.env });
});
after(async () => {
  await docker[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
});

describe('in a container of Docker', () => {
  it('names the options that are missing under the default profile, and still does what needs no step', async () => {
    const { code, stdout, stderr } = await buildIn(docker, []);
    assert.match(stdout, /imported/);
    assert.notEqual(code, 0);
    assert.match(stderr, /ERR_TSBUILD_PRIVILEGE: Cannot isolate a RUN step/);
    assert.match(stderr, /--security-opt seccomp=unconfined --security-opt apparmor=unconfined/);
    assert.match(stderr, /systempaths=unconfined/);
    assert.match(stderr, /--isolation=chroot/);
    const doctor = await runIn(docker, `${tsbuild} doctor`);
    assert.match(doctor.stdout, /container[^\n]*\n[\s\S]*--isolation=chroot/);
  });

  it('builds in a chroot under the default profile, and says what that does not isolate', async () => {
    const { code, stderr } = await buildIn(docker, [], ['--hostname=outside'], { dockerfile: CHROOT, flags: ['--isolation=chroot'] });
    assert.equal(code, 0, stderr);
    assert.equal(stderr.match(/Steps are NOT isolated/g)?.length, 1, stderr);
    assert.match(stderr, /no seccomp filter of tsbuild is loaded/);
    assert.doesNotMatch(stderr, /no device nodes/);
    assert.match(stderr, /the number of the leftover: \d+/);
  });

  it('builds in a chroot by the helper, too', async () => {
    const options = ['--hostname=outside', '-e', 'TSBUILD_LAUNCHER=helper', '-e', 'TSBUILD_ISOLATION=chroot'];
    const { code, stderr } = await buildIn(docker, [], options, { dockerfile: CHROOT, flags: [] });
    assert.equal(code, 0, stderr);
  });

  it('leaves no process of a step in a chroot, whichever user has killed its first one', async () => {
    const context = path.join(directory, 'context');
    const build = (user: string): string =>
      `printf 'FROM busybox\\nUSER ${user}\\nRUN (setsid sleep 5000 &); kill -9 $PPID; sleep 5000\\n' | ${tsbuild} build --isolation=chroot -f - ${context}`;
    const script = [
      `${tsbuild} import ${path.join(directory, 'base.tar')} busybox > /dev/null`,
      ...[`${build('root')} || echo failed`, `${build('app')} || echo failed`],
      `for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done | grep -c '^sleep 5000'`,
    ];
    const { stdout, stderr } = await runIn(docker, script.join('\n'));
    assert.equal(stdout, 'failed\nfailed\n0\n', stderr);
    assert.equal(stderr.match(/ERR_TSBUILD_RUN_KILLED/g)?.length, 2, stderr);
  });

  it('gives no step less of a network than the container lets it, and says so', async () => {
    const { code, stderr } = await buildIn(docker, [], [], { dockerfile: CHROOT, flags: ['--isolation=chroot', '--network=none'] });
    assert.notEqual(code, 0);
    assert.match(stderr, /ERR_TSBUILD_UNSUPPORTED: Cannot run a step without a network[\s\S]*--cap-add SYS_ADMIN/);
  });

  it('names the capability that a chroot takes, where the container has it not', async () => {
    const { code, stderr } = await buildIn(docker, [], ['--cap-drop=SYS_CHROOT'], { dockerfile: CHROOT, flags: ['--isolation=chroot'] });
    assert.notEqual(code, 0);
    assert.match(
      stderr,
      /ERR_TSBUILD_PRIVILEGE: Cannot run a step in a chroot[\s\S]*--cap-add SYS_CHROOT[\s\S]*capabilities\.add: \[SYS_CHROOT\]/,
    );
  });

  it('builds in a chroot without device nodes where the container makes none, with a warning', async () => {
    const { code, stderr } = await buildIn(docker, [], ['--cap-drop=MKNOD'], {
      dockerfile: 'FROM busybox\nRUN test ! -e /dev/null && test -d /dev/shm && touch /made\nRUN test -e /made\n',
      flags: ['--isolation=chroot'],
    });
    assert.equal(code, 0, stderr);
    assert.equal(stderr.match(/Steps have no device nodes/g)?.length, 1, stderr);
  });

  it('builds where user namespaces are allowed, with a warning of the /proc that steps see', async () => {
    const { code, stderr } = await buildIn(docker, ['seccomp=unconfined', 'apparmor=unconfined']);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Steps see the \/proc of this container/);
  });

  it('gives each step its own /proc where paths are not hidden', async () => {
    const { code, stderr } = await buildIn(docker, ['seccomp=unconfined', 'apparmor=unconfined', 'systempaths=unconfined']);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /Steps see the \/proc/);
    const [, processes] = /^#\d+ [\d.]+ (\d+)$/m.exec(stderr) ?? [];
    assert.ok(Number(processes) < 10, stderr);
  });

  it('builds where it may mount and make networks, and is no other user', async () => {
    const options = ['--cap-add=SYS_ADMIN', '--cap-add=NET_ADMIN'];
    const { code, stderr } = await buildIn(docker, ['seccomp=unconfined', 'apparmor=unconfined'], options);
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /Steps see the \/proc/);
  });

  it('builds for an ordinary user, whose steps have one id', async () => {
    const { code, stderr } = await buildIn(docker, ['seccomp=unconfined', 'apparmor=unconfined'], ['--user=4321'], {
      dockerfile: 'FROM busybox\nRUN id -u > /who && rm -r /home/app\n',
    });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /no subordinate ids/);
  });
});

describe('in a container of podman without root', () => {
  it('builds where seccomp is off, and names that option where it is not', async (t) => {
    await using world = emptyUserWorld();
    const HOME = path.join(world.directory, 'home');
    const run = path.join(HOME, 'run');
    const setpriv = [`--reuid=${world.user.uid}`, `--regid=${world.user.gid}`, '--clear-groups', 'podman'];
    const storage = ['--root', path.join(HOME, 'store'), '--runroot', path.join(HOME, 'runroot'), '--storage-driver=vfs'];
    const podman: Engine = {
      program: 'setpriv',
      env: { PATH: process.env['PATH'], HOME, XDG_RUNTIME_DIR: run },
      before: [...setpriv, ...storage, '--cgroup-manager=cgroupfs', '--events-backend=none', '--runtime=runc'],
    };
    await world.asUser('mkdir', ['-m', '700', run]);
    chmodSync(directory, 0o755);
    try {
      const imported = await runCommand('setpriv', [...(podman.before ?? []), 'import', path.join(directory, 'base.tar'), 'base'], podman);
      const tried = await runCommand('setpriv', [...(podman.before ?? []), 'run', '--rm', '--network=none', 'base', 'true'], podman);
      if (imported.code !== 0 || tried.code !== 0) {
        t.skip(`podman cannot run here: ${imported.stderr}${tried.stderr}`);
        return;
      }
      const refused = await buildIn(podman, []);
      assert.match(refused.stderr, /ERR_TSBUILD_PRIVILEGE: Cannot isolate a RUN step[\s\S]*--security-opt seccomp=unconfined/);
      const inChroot = await buildIn(podman, [], [], {
        dockerfile: 'FROM busybox\nRUN id -u > /who && test ! -e /dev/null\nUSER app\nRUN test "$(cat /who)$(id -u)" = 01000\n',
        flags: ['--isolation=chroot'],
      });
      assert.equal(inChroot.code, 0, inChroot.stderr);
      assert.match(inChroot.stderr, /Steps have no device nodes/);
      const built = await buildIn(podman, ['seccomp=unconfined', 'unmask=ALL']);
      assert.equal(built.code, 0, built.stderr);
      assert.doesNotMatch(built.stderr, /Steps see the \/proc/);
    } finally {
      await world.asUser('sh', ['-c', 'kill $(cat "$0"/libpod/tmp/pause.pid)', run]);
      await world.asUser(process.execPath, [BIN, 'unshare', 'rm', '-rf', path.join(HOME, 'store'), path.join(HOME, 'runroot')]);
    }
  });
});

/** Imports an image and builds in a container of the engine, with the tsbuild and the node of this test. */
async function buildIn(
  engine: Engine,
  security: readonly string[],
  more: readonly string[] = [],
  { dockerfile = DOCKERFILE, flags = ['--network=none'] }: { readonly dockerfile?: string; readonly flags?: readonly string[] } = {},
): Promise<CommandResult> {
  writeFileSync(path.join(directory, 'context/Dockerfile'), dockerfile);
  const script = [
    `${tsbuild} import ${path.join(directory, 'base.tar')} busybox > /dev/null && echo imported`,
    `TOKEN=hush ${tsbuild} build --progress=plain ${flags.join(' ')} ${path.join(directory, 'context')}`,
  ].join(' && ');
  return await runIn(engine, script, { security, more });
}

async function runIn(
  { program, env, before = [] }: Engine,
  script: string,
  { security = [], more = [] }: { readonly security?: readonly string[]; readonly more?: readonly string[] } = {},
): Promise<CommandResult> {
  const mounts = [
    '/usr',
    '/lib',
    '/lib64',
    process.execPath,
    process.cwd(),
    path.join(directory, 'context'),
    path.join(directory, 'base.tar'),
  ];
  return await runCommand(
    program,
    [
      ...[...before, 'run', '--rm', '--network=none', '-e', 'TSBUILD_ROOT=/tmp/state', ...more],
      ...security.flatMap((option) => ['--security-opt', option]),
      ...mounts.flatMap((place) => ['-v', `${place}:${place}:ro`]),
      ...['base', '/bin/sh', '-c', script],
    ],
    { env },
  );
}

/** Places for what is mounted, and busybox. */
function makeBase(tar: string): void {
  makeBusyboxRootfs(tar);
  const more = `${tar}.more`;
  for (const name of ['lib', 'lib64', 'proc', 'sys', 'dev']) mkdirSync(path.join(more, name), { recursive: true });
  execFileSync('tar', ['-rf', tar, '-C', more, 'lib', 'lib64', 'proc', 'sys', 'dev']);
  rmSync(more, { recursive: true });
}
