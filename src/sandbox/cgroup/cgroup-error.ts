/** What cannot be limited here, and why: nothing that was asked for is left out in silence. */
import { TsbuildError } from '../../errors.ts';
import { hostFacts } from '../host-facts.ts';
import type { Controller } from './cgroup-limits.ts';

const OBJECTS: Readonly<Record<Controller, string>> = {
  memory: 'the memory',
  cpu: 'the CPU time',
  cpuset: 'the CPUs',
  pids: 'the number of processes',
};

export function cannotLimit(controller: Controller, reason: string, details: { hint?: string; cause?: unknown } = {}): TsbuildError {
  return new TsbuildError('LIMIT_UNAVAILABLE', `Cannot limit ${OBJECTS[controller]} of a step: ${reason}`, details);
}

/** `doing` is what was refused, such as `make a control group in /sys/fs/cgroup`. */
export function refusedByKernel(controller: Controller, doing: string, cause: unknown): TsbuildError {
  const code = errorCode(cause);
  if (code === undefined) throw cause;
  const hint =
    code === 'EROFS' || ((code === 'EACCES' || code === 'EPERM') && isMachineRoot())
      ? 'The control groups are not to be changed here: in a container, start that with limits instead, or with its own writable control groups.'
      : code === 'EACCES' || code === 'EPERM'
        ? DELEGATION_HINT
        : undefined;
  return cannotLimit(controller, `this process may not ${doing} (${code})`, { ...(hint === undefined ? {} : { hint }), cause });
}

/** Not only of a user namespace of its own. */
export function isMachineRoot(): boolean {
  return process.geteuid?.() === 0 && hostFacts().userNamespace === 'initial';
}

export const DELEGATION_HINT = 'Start tsbuild as systemd-run --user --scope -p Delegate=yes tsbuild ..., or as root.';

export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}
