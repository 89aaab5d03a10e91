/** Whether the kernel killed for want of memory while a container ran. */
import { existsSync, readFileSync } from 'node:fs';
import type { StepCgroup } from './cgroup/step-cgroup.ts';
import type { ContainerExit } from './run-container.ts';

/** What shells, and runtimes, make of a command that SIGKILL ended: 128 + 9. */
const KILLED_EXIT = 137;
const VMSTAT = '/proc/vmstat';

export interface MemoryWatch {
  /** The same end, with `outOfMemory` where that is a reason for it, or happened in the container's own group. */
  explain(exit: ContainerExit): ContainerExit;
}

/** Starts to watch: the container's own group, or without that the machine, whose count says only when, not whom. */
export function watchMemory(cgroup: StepCgroup | undefined): MemoryWatch {
  const before = machineKills();
  return {
    explain(exit) {
      if (cgroup !== undefined && cgroup.oomKills() > 0) return { ...exit, outOfMemory: 'limit' };
      const isKilled = exit.signal === 'SIGKILL' || exit.exitCode === KILLED_EXIT;
      return isKilled && machineKills() > before ? { ...exit, outOfMemory: 'machine' } : exit;
    },
  };
}

/** proc_vmstat(5): `oom_kill`, of all groups and of the machine, since Linux 4.13. */
function machineKills(): number {
  return existsSync(VMSTAT) ? Number(/^oom_kill (\d+)$/m.exec(readFileSync(VMSTAT, 'latin1'))?.[1] ?? 0) : 0;
}
