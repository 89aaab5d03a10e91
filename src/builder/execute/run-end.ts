/** How the command of a RUN ended, in words. */
import { RunError } from '../../errors.ts';
import type { Emit } from '../../events.ts';
import type { ContainerResources } from '../../sandbox/resource-limits.ts';
import type { ContainerExit } from '../../sandbox/run-container.ts';

export interface EndedStep {
  /** The instruction, on one line. */
  readonly text: string;
  readonly limits: ContainerResources;
  readonly emit: Emit;
}

/** Throws RUN_FAILED or RUN_KILLED unless the command ended well. */
export function needGoodEnd(end: ContainerExit, { text, limits, emit }: EndedStep): void {
  const { exitCode = 0, signal, outOfMemory } = end;
  if (outOfMemory !== undefined && (signal !== undefined || exitCode !== 0)) throw memoryError(end, text, limits);
  if (outOfMemory !== undefined) {
    const message = `A process of ${text} was killed, out of memory (limit ${memoryOf(limits)}), and the step went on`;
    emit({ kind: 'warning', message });
  }
  if (signal !== undefined) throw new RunError(`${text} was killed with ${signal}`, { signal });
  if (exitCode !== 0) throw new RunError(`${text} exited with code ${exitCode}`, { exitCode }, { hint: exitHint(exitCode) });
}

function memoryError(end: ContainerExit, text: string, limits: ContainerResources): RunError {
  const { exitCode = 137, signal } = end;
  const how = signal === undefined ? `exited with code ${exitCode}` : `was killed with ${signal}, exit code ${exitCode}`;
  const ended = signal === undefined ? { exitCode } : { signal };
  if (end.outOfMemory === 'machine') {
    const hint = 'Something else may be what needs it: see the kernel’s log (dmesg). Fewer steps at once (--jobs) need less.';
    return new RunError(`${text} ${how}: the machine, or the control group of tsbuild, ran out of memory`, ended, { hint });
  }
  return new RunError(`${text} ${how}: out of memory (limit ${memoryOf(limits)})`, ended, {
    hint: 'Give it more with --memory, or let it do less at once.',
  });
}

function memoryOf({ cgroup }: ContainerResources): string {
  return `${Number(((cgroup.memory ?? 0) / 2 ** 20).toFixed(1))} MiB`;
}

/** What shells mean by their own codes (POSIX "Exit Status for Commands"). */
function exitHint(exitCode: number): string | undefined {
  if (exitCode === 127) return 'The shell did not find a command: install it in an earlier step, or check PATH.';
  if (exitCode === 126) return 'The shell found a command that it could not execute: check its mode and its format.';
  if (exitCode === 137) return 'A process was killed with SIGKILL.';
  return undefined;
}
