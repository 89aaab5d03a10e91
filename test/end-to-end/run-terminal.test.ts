/** `run -it`: the caller's terminal is driven by a pseudo-terminal of Python's, from outside. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { judgeImages } from './_judges.ts';
import { BIN, makeWorld, runCommand, type World } from './_world.ts';

/**
 * Runs a command on a new terminal of 90x30 and talks with it: a list of [what to wait for, what to do then]. Prints as JSON
 * all that came out, the exit code, and whether the terminal's settings after the end are those from before.
 */
const DRIVER = `
import fcntl, json, os, pty, select, signal, struct, sys, termios, time
steps = json.loads(sys.argv[1])
fd, slave = pty.openpty()
def resize(rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
resize(30, 90)
pid = os.fork()
if pid == 0:
    os.login_tty(slave) if hasattr(os, 'login_tty') else (os.setsid(), fcntl.ioctl(slave, termios.TIOCSCTTY, 0), [os.dup2(slave, n) for n in (0, 1, 2)])
    os.execvp(sys.argv[2], sys.argv[2:])
before = termios.tcgetattr(fd)
out, seen, raw = b'', 0, False
deadline = time.time() + 60
while time.time() < deadline:
    if steps and steps[0][0].encode() in out[seen:]:
        seen = out.index(steps[0][0].encode(), seen) + len(steps[0][0])
        raw = raw or not (termios.tcgetattr(fd)[3] & termios.ICANON)
        verb, value = steps.pop(0)[1]
        if verb == 'type': os.write(fd, value.encode())
        elif verb == 'resize': resize(*value)
        elif verb == 'signal': os.kill(pid, getattr(signal, value))
        continue
    if fd in select.select([fd], [], [], 0.2)[0]:
        out += os.read(fd, 65536)
        continue
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended: break
else:
    os.kill(pid, 9)
    _, status = os.waitpid(pid, 0)
after = termios.tcgetattr(slave)
print(json.dumps({'out': out.decode('latin1'), 'raw': raw, 'restored': after[:4] == before[:4],
  'left': len(steps), 'code': os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)}))
`;

type Step = readonly [expected: string, act: readonly ['type' | 'signal', string] | readonly ['resize', readonly [number, number]]];

interface Outcome {
  readonly out: string;
  readonly raw: boolean;
  readonly restored: boolean;
  readonly left: number;
  readonly code: number;
}

let world: World;
let driver: string;

before(async () => {
  world = await makeWorld();
  driver = path.join(world.directory, 'driver.py');
  writeFileSync(driver, DRIVER);
});
after(async () => await world[Symbol.asyncDispose]());

async function onTerminal(steps: readonly Step[], args: readonly string[]): Promise<Outcome> {
  const command = [driver, JSON.stringify(steps), process.execPath, BIN, 'run', ...args];
  const { code, stdout, stderr } = await runCommand('python3', command, { env: { ...process.env, TSBUILD_ROOT: world.root } });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Outcome;
}

describe('tsbuild run -it', () => {
  test('a shell has a terminal of its own, takes input, and its exit code counts', async () => {
    const { out, code, raw, restored, left } = await onTerminal(
      [
        ['# ', ['type', 'tty; echo $TERM; stty size; echo ready\n']],
        ['ready\r\n', ['type', 'exit 7\n']],
      ],
      ['-it', 'busybox', 'sh'],
    );
    assert.match(out, /\/dev\/pts\/0\r\nxterm\r\n30 90\r\nready\r\n/);
    assert.deepEqual({ code, raw, restored, left }, { code: 7, raw: true, restored: true, left: 0 });
  });

  test('control keys are the container’s: Ctrl-C interrupts the command there and not tsbuild', async () => {
    const { out, code, restored } = await onTerminal(
      [
        ['# ', ['type', 'echo going; sleep 1000; echo came back\n']],
        ['\r\ngoing\r\n', ['type', '\u0003']],
        ['^C', ['type', '']],
        ['# ', ['type', '\u0004']],
      ],
      ['-i', '-t', 'busybox', 'sh'],
    );
    assert.doesNotMatch(out, /\ncame back/);
    assert.deepEqual({ code, restored }, { code: 130, restored: true });
  });

  test('the command learns of a new size', async () => {
    const script = 'trap "stty size; exit" WINCH; echo ready; while :; do sleep 0.05; done';
    const { out, code } = await onTerminal([['ready', ['resize', [41, 111]]]], ['-it', 'busybox', 'sh', '-c', script]);
    assert.match(out, /41 111\r\n$/);
    assert.equal(code, 0);
  });

  test('a signal to tsbuild is passed on, and the terminal is as it was', async () => {
    const script = 'trap "echo asked; exit 3" TERM; echo ready; while :; do sleep 0.05; done';
    const { out, code, restored } = await onTerminal([['ready', ['signal', 'SIGTERM']]], ['-it', 'busybox', 'sh', '-c', script]);
    assert.match(out, /asked/);
    assert.deepEqual({ code, restored }, { code: 3, restored: true });
  });

  test('the terminal is as it was after a second signal, too', async () => {
    const script = 'trap "echo once more" TERM; echo ready; while :; do sleep 0.05; done';
    const { code, restored } = await onTerminal(
      [
        ['ready', ['signal', 'SIGTERM']],
        ['once more', ['signal', 'SIGTERM']],
      ],
      ['-it', 'busybox', 'sh', '-c', script],
    );
    assert.deepEqual({ code, restored }, { code: 143, restored: true });
  });

  test('-t alone gives a terminal without input, and -it without a terminal is an error', async () => {
    assert.equal((await world.tsbuild(['run', '-t', 'busybox', 'sh', '-c', 'test -t 1 && echo yes'])).stdout, 'yes\r\n');
    const { code, stderr } = await world.tsbuild(['run', '-it', 'busybox', 'sh']);
    assert.equal(code, 2);
    assert.match(stderr, /standard input is no terminal/);
  });

  test('a command that cannot be started leaves the terminal as it was', async () => {
    const { out, code, restored } = await onTerminal([], ['-it', 'busybox', 'missing']);
    assert.match(out, /RUN_NOT_STARTED/);
    assert.deepEqual({ code, restored }, { code: 127, restored: true });
  });

  test('A6 the command cannot push keys into the caller’s terminal', async () => {
    // TIOCSTI of the container's own terminal is all that there is; the caller's has no way in.
    const script =
      'ls -l /proc/self/fd /dev/console /dev/tty | grep -v -E "/dev/pts/0|fd|total|/dev/tty|/dev/console" ; cat /proc/self/stat | cut -d" " -f7';
    const { out } = await onTerminal([], ['-it', 'busybox', 'sh', '-c', script]);
    assert.match(out, /34816\r\n$/); // 136:0
  });
});

test('every image of this suite passes the judges', { timeout: 10 * 60_000 }, async () => {
  assert.ok((await judgeImages(world)) > 0);
});
