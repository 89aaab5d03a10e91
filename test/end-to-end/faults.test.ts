import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf, commandLine, descendantsOf, eventually, peakKib, processesWith } from './_processes.ts';
import { makeUserWorld, type UserWorld } from './_rootless.ts';
import { BIN, type CommandResult, makeWorld, runCommand, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<CommandResult>;
}

let marks = 0;
/** A word that only one build of this file has on its command lines. */
function newMark(): string {
  return `fault-${process.pid}-${marks++}`;
}

/** A build that runs, in a process group of its own. */
function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
  const child = spawn(process.execPath, [BIN, '--no-cache', ...args], {
    env: { ...process.env, TSBUILD_ROOT: world.root, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.on('data', (data: Buffer) => {
      output[stream] += data.toString('latin1');
    });
  }
  const ended = new Promise<CommandResult>((resolve) => child.once('close', (code, signal) => resolve({ code, signal, ...output })));
  assert.ok(child.pid !== undefined);
  return { child, pid: child.pid, ended };
}

/** On a busy machine, when two hundred shells begin to fork. */
const READY_MS = 60_000;

/** A build whose step runs: it has said `ready`. */
async function startStep(command: string, { mark, env = {} }: { mark: string; env?: NodeJS.ProcessEnv }): Promise<Started> {
  const context = world.context({ Dockerfile: `FROM busybox\nRUN : ${mark}; ${command}\n` });
  const started = start(['--network', 'none', context], env);
  let seen = '';
  started.child.stderr?.on('data', (data: Buffer) => {
    seen += data.toString('latin1');
  });
  try {
    await eventually(() => (/^#\d+ [\d.]+ ready$/m.test(seen) ? true : undefined), READY_MS);
  } catch (error) {
    started.child.kill('SIGKILL');
    throw error;
  }
  return started;
}

async function gone(mark: string, ms = 1000): Promise<void> {
  await eventually(() => (processesWith(mark).length === 0 ? true : undefined), ms);
}

function seconds(from: number): number {
  return (performance.now() - from) / 1000;
}

describe('X2 kill -9 of a child', () => {
  /** PID 1 of a step is a child of tsbuild's, or of the helper that launches it. */
  const victims: [string, NodeJS.ProcessEnv, (tsbuild: number) => number | undefined][] = [
    ['of PID 1 of a step', { TSBUILD_LAUNCHER: 'engine' }, (pid) => childrenOf(pid)[0]],
    ['of the command of a step', { TSBUILD_LAUNCHER: 'engine' }, (pid) => descendantsOf(pid)[1]],
    ['of the helper that launches a step', { TSBUILD_LAUNCHER: 'helper' }, (pid) => childrenOf(pid)[0]],
    ['of PID 1 below that helper', { TSBUILD_LAUNCHER: 'helper' }, (pid) => descendantsOf(pid)[1]],
  ];
  for (const [what, env, find] of victims) {
    test(`X2 ${what} is an error at once, and nothing is left`, async () => {
      for (let round = 0; round < 4; round++) {
        const mark = newMark();
        const build = await startStep(`echo ready; sleep 100 & sleep 100; : ${mark}`, { mark, env });
        await sleep(Math.random() * 100);
        const victim = find(build.pid);
        assert.ok(victim !== undefined);
        const killedAt = performance.now();
        process.kill(victim, 'SIGKILL');
        const { code, stderr } = await build.ended;
        assert.equal(code, 1, stderr);
        assert.ok(seconds(killedAt) < 2, `${seconds(killedAt)} s`);
        assert.match(stderr, /ERR_TSBUILD_RUN_KILLED: RUN .* was killed with SIGKILL/);
        await gone(mark);
      }
    });
  }

  test('X2 of git is an error at once, and nothing is left', async () => {
    const server: Server = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    try {
      const build = start([`git://127.0.0.1:${port}/silent.git`]);
      // Not the shell that watches over it.
      const git = await eventually(() => descendantsOf(build.pid).find((pid) => /^\S*git ls-remote /.test(commandLine(pid))));
      await sleep(200);
      const killedAt = performance.now();
      process.kill(git, 'SIGKILL');
      const { code, stderr } = await build.ended;
      assert.equal(code, 1, stderr);
      assert.match(stderr, /ERR_TSBUILD_FETCH_FAILED/);
      assert.ok(seconds(killedAt) < 2);
      await eventually(() => (processesWith(`127.0.0.1:${port}`).length === 0 ? true : undefined));
    } finally {
      server.close();
    }
  });
});

describe('X3 signals', () => {
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGQUIT: 131 } as const;
  for (const [name, expected] of Object.entries(codes) as [keyof typeof codes, number][]) {
    for (const times of [1, 2, 10]) {
      for (const whom of ['process', 'group'] as const) {
        test(`X3 ${name} ${times} times to the ${whom} ends a step that ignores it within a second, with ${expected}`, async () => {
          const mark = newMark();
          const deaf = `trap "" INT TERM HUP QUIT; echo ready; (setsid sleep 100 &); while :; do sleep 100; done; : ${mark}`;
          const build = await startStep(deaf, { mark });
          const sentAt = performance.now();
          for (let i = 0; i < times; i++) {
            if (i > 0) await sleep(Math.random() * 5);
            if (build.child.exitCode === null) process.kill(whom === 'group' ? -build.pid : build.pid, name);
          }
          const { code } = await build.ended;
          assert.equal(code, expected);
          assert.ok(seconds(sentAt) < 2, `${seconds(sentAt)} s`);
          await gone(mark);
        });
      }
    }
  }

  test('X3 a reader that goes away ends a command whose result it was to read, and not a build that is only watched', async () => {
    const quiet = execFileSync(
      'bash',
      ['-c', `'${process.execPath}' '${BIN}' inspect busybox | head -c 1 > /dev/null; echo \${PIPESTATUS[0]}`],
      {
        env: { ...process.env, TSBUILD_ROOT: world.root },
        encoding: 'utf8',
      },
    );
    assert.match(quiet, /^(141|0)\n$/);
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN seq 10000\nRUN echo done > /done\n' });
    const watched = execFileSync(
      'bash',
      [
        '-c',
        `{ '${process.execPath}' '${BIN}' -t watched --network none '${context}' > /dev/null; echo $? >&3; } 3>&1 2>&1 1>/dev/null | head -1`,
      ],
      { env: { ...process.env, TSBUILD_ROOT: world.root }, encoding: 'utf8' },
    );
    assert.match(watched, /^#1/);
    await eventually(() => (processesWith('watched').length === 0 ? true : undefined));
    assert.equal(await world.succeed(['run', '--network', 'none', 'watched', 'cat', '/done']), 'done');
  });

  test('X3 a terminal is as it was after an interruption', async () => {
    const mark = newMark();
    const context = world.context({ Dockerfile: `FROM busybox\nRUN : ${mark}; sleep 100\n` });
    // The shell gets the ^C as well and has to outlive it; a trap with a command is not inherited.
    const inner = `trap : INT; stty -a > before; '${process.execPath}' '${BIN}' --network none --no-cache '${context}'; echo "code $?"; stty -a > after`;
    const directory = mkdtempSync(path.join(world.directory, 'terminal-'));
    const child = spawn('script', ['-qefc', inner, 'typescript'], {
      cwd: directory,
      env: { ...process.env, TSBUILD_ROOT: world.root, TERM: 'xterm', COLUMNS: '100' },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    await eventually(() => (processesWith(mark).length > 0 ? true : undefined));
    await sleep(600); // the live view has begun
    child.stdin?.write('\x03');
    await new Promise((resolve) => child.once('close', resolve));
    const written = readFileSync(path.join(directory, 'typescript'), 'latin1');
    assert.match(written, /code 130/);
    const [hidden, shown] = [written.lastIndexOf('\x1b[?25l'), written.lastIndexOf('\x1b[?25h')];
    assert.ok(hidden < shown || hidden === -1, 'the cursor is shown again');
    assert.equal(readFileSync(path.join(directory, 'after'), 'utf8'), readFileSync(path.join(directory, 'before'), 'utf8'));
    await gone(mark);
  });
});

describe('rootless', () => {
  let users: UserWorld;
  before(async () => {
    users = await makeUserWorld();
  });
  after(async () => await users[Symbol.asyncDispose]());

  /** setpriv becomes tsbuild, and that enters its namespace in place: one process all along. */
  async function startAsUser(mark: string): Promise<{ pid: number; ended: Promise<{ code: number | null; stderr: string }> }> {
    const context = users.context({
      Dockerfile: `FROM busybox\nRUN : ${mark}; trap "" INT TERM HUP; echo ready; while :; do sleep 100; done\n`,
    });
    const { uid, gid } = users.user;
    const args = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', process.execPath, BIN, '--no-cache', '--network', 'none', context];
    const env = { PATH: process.env['PATH'], HOME: users.directory, TSBUILD_ROOT: users.root };
    const child = spawn('setpriv', args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString('latin1');
    });
    const ended = new Promise<{ code: number | null; stderr: string }>((resolve) =>
      child.once('close', (code) => resolve({ code, stderr })),
    );
    await eventually(() => (/ ready$/m.test(stderr) ? true : undefined));
    return { pid: child.pid ?? 0, ended };
  }

  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    test(`X3 rootless: ${name} ends a step that ignores it, with ${code}`, async () => {
      const mark = newMark();
      const build = await startAsUser(mark);
      const sentAt = performance.now();
      process.kill(build.pid, name);
      assert.equal((await build.ended).code, code);
      assert.ok(seconds(sentAt) < 2);
      await gone(mark);
    });
  }

  test('X1 rootless: the kill of tsbuild leaves no process, and the next command cleans up', async () => {
    const mark = newMark();
    const build = await startAsUser(mark);
    process.kill(build.pid, 'SIGKILL');
    await build.ended;
    await gone(mark);
    assert.match(await users.succeed(['images']), /busybox/);
  });

  test('X2 rootless: kill -9 of PID 1 of a step is an error at once, and nothing is left', async () => {
    const mark = newMark();
    const build = await startAsUser(mark);
    const [init] = childrenOf(build.pid);
    assert.ok(init !== undefined);
    const killedAt = performance.now();
    process.kill(init, 'SIGKILL');
    const { code, stderr } = await build.ended;
    assert.equal(code, 1, stderr);
    assert.match(stderr, /ERR_TSBUILD_RUN_KILLED/);
    assert.ok(seconds(killedAt) < 2);
    await gone(mark);
  });
});

test('X10 two hundred processes that go on forking are gone within a second of the kill', async () => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const mark = newMark();
    const fork = 'storm() { while :; do (sleep 0.2); done; }; i=0; while [ $i -lt 200 ]; do storm & i=$((i+1)); done; echo ready; wait';
    const build = await startStep(`${fork}; : ${mark}`, { mark });
    await sleep(300);
    assert.ok(processesWith(mark).length > 200);
    build.child.kill(signal);
    await build.ended;
    await gone(mark);
  }
});

describe('X11 what a step leaves running ends with it', () => {
  const daemons = [
    'sleep 4242 &',
    '(sleep 4242 &)',
    'setsid sleep 4242 &',
    'nohup sleep 4242 > /dev/null 2>&1 &',
    'sleep 4242 <&- >&- 2>&- &',
    '(while :; do echo alive; sleep 1; done) &',
    'sh -c "trap : TERM HUP INT; while :; do sleep 1; done" &',
    'start-stop-daemon -S -b -x /bin/sleep -- 4242',
    'setsid sh -c "trap \\"\\" TERM HUP INT; exec sleep 4242" &',
    '( ( ( sleep 4242 & ) & ) & )',
    'unshare -Urm sleep 4242 & sleep 0.1',
    'sleep 4242 & kill -STOP $!',
    'sh -c "sleep 0.01 & exec sleep 4242" &',
    'mkfifo /fifo; cat /fifo &',
    'mkdir /lost; cd /lost; rmdir /lost; sleep 4242 &',
    'nc -l -p 1234 &',
    'nice -n 19 sleep 4242 &',
    '/shapes vfork &',
    '/shapes traced &',
    '/shapes threads &',
  ];
  const program = `
    #define _GNU_SOURCE
    #include <pthread.h>
    #include <string.h>
    #include <sys/ptrace.h>
    #include <sys/wait.h>
    #include <unistd.h>
    static void *forever(void *unused) { for (;;) pause(); return unused; }
    int main(int argc, char **argv) {
      if (argc < 2) return 1;
      if (strcmp(argv[1], "vfork") == 0) { if (vfork() == 0) for (;;) pause(); }
      if (strcmp(argv[1], "traced") == 0) {
        pid_t child = fork();
        if (child == 0) { ptrace(PTRACE_TRACEME, 0, 0, 0); raise_stop: kill(getpid(), 19); goto raise_stop; }
        waitpid(child, 0, 0);
      }
      if (strcmp(argv[1], "threads") == 0) {
        pthread_t thread;
        for (int i = 0; i < 50; i++) pthread_create(&thread, 0, forever, 0);
      }
      forever(0);
    }`;

  test(`X11 in ${daemons.length} shapes, while all output up to then is kept`, async () => {
    assert.ok(daemons.length >= 20);
    const directory = mkdtempSync(path.join(world.directory, 'shapes-'));
    writeFileSync(path.join(directory, 'shapes.c'), `#include <signal.h>\n${program}`);
    execFileSync('gcc', ['-static', '-pthread', '-o', path.join(directory, 'shapes'), path.join(directory, 'shapes.c')]);
    const mark = newMark();
    const steps = daemons.map((daemon, i) => `RUN : ${mark}; { ${daemon}${daemon.endsWith('&') ? '' : ';'} }; echo started-${i}`);
    const context = world.context({ Dockerfile: `FROM busybox\nCOPY shapes /\n${steps.join('\n')}\n` });
    copyFileSync(path.join(directory, 'shapes'), path.join(context, 'shapes'));
    const result = await start(['--network', 'none', '-t', 'daemons', context]).ended;
    assert.equal(result.code, 0, result.stderr);
    for (const index of daemons.keys()) assert.match(result.stderr, new RegExp(`^#\\d+ [\\d.]+ started-${index}$`, 'm'));
    await gone(mark);
    assert.deepEqual(processesWith('sleep 4242'), []);
    const took = [...result.stderr.matchAll(/DONE ([\d.]+)s/g)].map(([, text]) => Number(text));
    assert.ok(Math.max(...took) < 5, `no step waits for what it left: ${took}`);
  });
});

describe('X12 floods of output', () => {
  const UNCAPPED = { TSBUILD_STEP_LOG_MAX_SIZE: '-1', TSBUILD_STEP_LOG_MAX_SPEED: '-1' };

  async function peakOf(command: string, env: NodeJS.ProcessEnv = {}): Promise<{ peakMib: number; result: CommandResult }> {
    const context = world.context({ Dockerfile: `FROM busybox\nRUN ${command}\n` });
    const build = start(['--network', 'none', '--progress', 'plain', context], env);
    let peak = 0;
    const timer = setInterval(() => {
      peak = Math.max(peak, peakKib(build.pid) ?? 0);
    }, 20);
    const result = await build.ended;
    clearInterval(timer);
    assert.equal(result.code, 0, result.stderr.slice(-2000));
    return { peakMib: peak / 1024, result };
  }

  const gigabyte = 'head -c 1073741824 /dev/zero';
  const flood = 'head -c 134217728 /dev/zero';
  const floods: [string, string][] = [
    ['a gigabyte without a line break', `${gigabyte} | tr "\\0" x`],
    ['a flood of NUL bytes', flood],
    ['a flood of bytes that are no UTF-8', `${flood} | tr "\\0" "\\377"`],
    ['a flood of a bar that redraws itself', `${flood} | tr "\\0" "\\r"`],
    ['a flood of line breaks', `${flood} | tr "\\0" "\\n"`],
  ];
  for (const [what, command] of floods) {
    test(`X12 ${what} is clipped and costs no memory`, async () => {
      const still = await peakOf('sleep 0.5');
      const { peakMib, result } = await peakOf(command);
      assert.match(result.stderr, /^#\d+ [\d.]+ \[output clipped, log (speed 200KiB\/s|limit 2MiB) reached\]$/m);
      assert.ok(result.stderr.length < 4 * 1024 * 1024 * 8, `${result.stderr.length} bytes were passed on`);
      assert.ok(peakMib - still.peakMib < 64, `${peakMib} MiB, ${still.peakMib} MiB without output`);
    });
  }

  test('X13 a reader that is slow gets all of it, though the build has ended long before', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nRUN seq 1 200000\n' });
    const script = `"$0" "$1" --progress=plain "$2" 2>&1 >/dev/null | (sleep 3; grep -cE '^#2 [0-9.]+ [0-9]+$')`;
    const { stdout } = await runCommand('sh', ['-c', script, process.execPath, BIN, context], {
      env: { ...process.env, ...UNCAPPED, TSBUILD_ROOT: world.root },
    });
    assert.equal(stdout.trim(), '200000');
  });

  test('X12 a million small writes come in order where nothing is clipped', async () => {
    const { result } = await peakOf('seq 1 200000; seq 1 200000 >&2', UNCAPPED);
    const numbers = [...result.stderr.matchAll(/^#2 [\d.]+ (\d+)$/gm)].map(([, text]) => Number(text));
    assert.equal(numbers.length, 400_000);
    assert.ok(numbers.every((number, index) => number === (index % 200_000) + 1));
  });
});
