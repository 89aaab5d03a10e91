/** `run -it`: the caller's terminal is driven by a pseudo-terminal of Python's, from outside. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { judgeImages } from './_judges.ts';
import { type Outcome, onPseudoTerminal, type Step } from './_pseudo-terminal.ts';
import { BIN, makeWorld, type World } from './_world.ts';

let world: World;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const onTerminal = (steps: readonly Step[], args: readonly string[]): Promise<Outcome> =>
  onPseudoTerminal(steps, [process.execPath, BIN, 'run', ...args], { ...process.env, TSBUILD_ROOT: world.root });

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
        // A command of its own says that it is there: what Ctrl-C does while a shell starts one is the shell's affair.
        ['# ', ['type', "sh -c 'echo going; exec sleep 1000'; echo came back\n"]],
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
