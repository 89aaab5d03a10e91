/**
 * Where in cgroup v2 the group of a step can be: in a group whose controllers reach its children. A group that has processes of
 * its own can hand none down ("no internal processes", cgroup-v2.rst), the root excepted.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TsbuildError } from '../../errors.ts';
import { cannotLimit, DELEGATION_HINT, errorCode, isMachineRoot, refusedByKernel } from './cgroup-error.ts';
import type { Controller } from './cgroup-limits.ts';
import { openRecord } from './cgroup-records.ts';
import type { Hierarchy } from './hierarchies.ts';

/**
 * Our own group if it is the root, or hands the controllers down already, or has no process but ours (which moves out of the
 * way, into a group beside the step's); else the root, as Docker has it. Throws LIMIT_UNAVAILABLE.
 */
export function findBase({ own: now, top }: Hierarchy, controllers: readonly Controller[], records: string): string {
  const own = left ?? now;
  if (isRoot(own) || controllers.every((name) => words(own, 'cgroup.subtree_control').includes(name))) return enabled(own, controllers);
  const [controller = 'memory'] = controllers;
  const missing = controllers.find((name) => !words(own, 'cgroup.controllers').includes(name));
  if (missing === undefined && isOursAlone(own)) return enabled(movedAside(own, controllers, records), controllers);
  if (isRoot(top) && isMachineRoot()) return enabled(top, controllers);
  if (missing !== undefined) throw notDelegated(missing, own);
  throw cannotLimit(controller, `${own} (cgroup v2) has other processes beside tsbuild, and so cannot hand controllers down`, {
    hint: `${DELEGATION_HINT} Or give another group with --cgroup-parent.`,
  });
}

/** Turns the controllers on for the children of `directory`, and returns it. */
export function enabled(directory: string, controllers: readonly Controller[]): string {
  const there = words(directory, 'cgroup.controllers');
  const on = words(directory, 'cgroup.subtree_control');
  for (const controller of controllers) {
    if (on.includes(controller)) continue;
    if (!there.includes(controller)) throw notDelegated(controller, directory);
    try {
      writeFileSync(join(directory, 'cgroup.subtree_control'), `+${controller}`);
    } catch (error) {
      if (errorCode(error) !== 'EBUSY') throw refusedByKernel(controller, `turn the controller ${controller} on in ${directory}`, error);
      throw cannotLimit(controller, `${directory} (cgroup v2) has processes, and so cannot hand controllers down`, { cause: error });
    }
  }
  return directory;
}

function notDelegated(controller: Controller, directory: string): TsbuildError {
  const hint = isMachineRoot() ? 'It may be in use by cgroup v1, or disabled at boot (cgroup_disable=).' : DELEGATION_HINT;
  return cannotLimit(controller, `the cgroup v2 controller ${controller} has not been delegated to ${directory}`, { hint });
}

function isRoot(directory: string): boolean {
  return !existsSync(join(directory, 'cgroup.type'));
}

function words(directory: string, file: string): string[] {
  return readFileSync(join(directory, file), 'utf8').trim().split(/\s+/);
}

/** This process and those that it started. */
function isOursAlone(own: string): boolean {
  const pids = words(own, 'cgroup.procs').map(Number);
  return pids.every((pid) => pid === process.pid || parentOf(pid) === process.pid);
}

/** The group that this process moved out of. */
let left: string | undefined;

/** Stays there until it ends; the next command removes the group. */
function movedAside(own: string, [controller = 'memory']: readonly Controller[], records: string): string {
  const record = openRecord(records);
  const aside = join(own, `tsbuild-${record.id}`);
  try {
    record.add(aside);
    mkdirSync(aside);
    for (const pid of words(own, 'cgroup.procs')) writeFileSync(join(aside, 'cgroup.procs'), pid);
  } catch (error) {
    record.abandon();
    throw refusedByKernel(controller, `make a control group in ${own}`, error);
  }
  left = own;
  return own;
}

/** Field 4 of proc_pid_stat(5); the name before it may hold anything. */
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
