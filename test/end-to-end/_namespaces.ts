/** A program of the tests in PID, mount and network namespaces of its own: what it leaves there is its alone, and goes with it. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A network whose way out leads nowhere: steps want one. */
const NETWORK =
  'ip link set lo up; ip link add up0 type veth peer name up1; ip link set up1 up; ip addr add 203.0.113.2/24 dev up0; ip link set up0 up; ip route add default via 203.0.113.1';

/** Gives `job` to `program`, a test file without `.ts`, as JSON on standard input, and returns its lines, which are JSON and `count` of them. */
export async function inNamespaces<T>(program: string, job: unknown, count: number): Promise<T[]> {
  const file = new URL(`./${program}.js`, import.meta.url).pathname;
  const namespaces = ['--pid', '--fork', '--mount', '--net', '--mount-proc', '--kill-child'];
  // bash stays, as the PID 1 that reaps.
  const shell = ['bash', '--norc', '-euc', `${NETWORK}; "$@"; exit`, 'bash'];
  const child = spawn('unshare', [...namespaces, ...shell, process.execPath, file], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.stdin.end(JSON.stringify(job));
  const lines: T[] = [];
  for await (const line of createInterface({ input: child.stdout })) lines.push(JSON.parse(line));
  const code = await ended;
  if (code !== 0 || lines.length !== count) throw new Error(`${program} ended with ${code} after ${lines.length} lines`);
  return lines;
}
