/** Processes of this machine, as /proc shows them. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Those whose command line holds `text`. */
export function processesWith(text: string): number[] {
  return allPids().filter((pid) => commandLine(pid).includes(text));
}

/** Children of a process, of which thread whatever. */
export function childrenOf(pid: number): number[] {
  return allPids().filter((child) => statFields(child)[1] === String(pid));
}

/** And theirs. */
export function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

/** Words separated by blanks; empty for what has ended. */
export function commandLine(pid: number): string {
  return readOr('', `/proc/${pid}/cmdline`).replaceAll('\0', ' ');
}

/** proc_pid_status(5); empty for what has ended. */
export function statusOf(pid: number): string {
  return readOr('', `/proc/${pid}/status`);
}

/** Waits until `find` finds something, or the time is over. */
export async function eventually<T>(find: () => T | undefined, ms = 10_000): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`Nothing came within ${ms} ms`);
    await sleep(5);
  }
}

/** The most memory that a process has had at once, in KiB: proc_pid_status(5); undefined once it has ended. */
export function peakKib(pid: number): number | undefined {
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(readOr('', `/proc/${pid}/status`))?.[1];
  return found === undefined ? undefined : Number(found);
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** From the state on: field 3 of proc_pid_stat(5). */
function statFields(pid: number): string[] {
  const stat = readOr('', `/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** A process may end while it is looked at. */
function readOr(fallback: string, path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return fallback;
  }
}
