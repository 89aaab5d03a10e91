/** A pseudo-terminal of Python's, which drives tsbuild from outside. */
import assert from 'node:assert/strict';
import { runCommand } from './_world.ts';

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

export type Step = readonly [expected: string, act: readonly ['type' | 'signal', string] | readonly ['resize', readonly [number, number]]];

export interface Outcome {
  readonly out: string;
  readonly raw: boolean;
  readonly restored: boolean;
  readonly left: number;
  readonly code: number;
}

export async function onPseudoTerminal(steps: readonly Step[], command: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  const { code, stdout, stderr } = await runCommand('python3', ['-c', DRIVER, JSON.stringify(steps), ...command], { env });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Outcome;
}
