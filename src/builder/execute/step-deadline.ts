/** A RUN that takes too long: its command is asked to end, and has a moment for that before it is killed. */
import { TsbuildError } from '../../errors.ts';
import type { RunningCommand } from '../../sandbox/run-container.ts';
import type { BuildDeadline } from './resources.ts';

/** Between SIGTERM and SIGKILL, as `docker stop` has it. */
const GRACE_MS = 10_000;

export interface StepDeadline extends Disposable {
  /** The command runs: from now on its time counts. */
  start(command: RunningCommand): void;
  /** Throws TIMEOUT if the command was stopped. */
  check(): void;
}

export interface StepTimes {
  /** The instruction, on one line. */
  readonly text: string;
  readonly build: BuildDeadline;
  readonly stepTimeoutMs: number | undefined;
}

/** While it is open the build, if it is out of time, leaves the end to this step. */
export function openStepDeadline({ text, build, stepTimeoutMs }: StepTimes): StepDeadline {
  const hold = build.hold();
  let command: RunningCommand | undefined;
  let error: TsbuildError | undefined;
  let timer: NodeJS.Timeout | undefined;
  const stop = (reason: string): void => {
    if (error !== undefined) return;
    error = new TsbuildError('TIMEOUT', `${text} was stopped: ${reason}`, { hint: 'Give it more time, or find out what it waits for.' });
    clearTimeout(timer);
    command?.signal('SIGTERM', 'group');
    timer = setTimeout(() => command?.signal('SIGKILL'), GRACE_MS);
  };
  const onExpired = (): void => stop(build.reason);
  return {
    start(started) {
      command = started;
      build.expired.addEventListener('abort', onExpired, { once: true });
      if (build.expired.aborted) onExpired();
      else if (stepTimeoutMs !== undefined) {
        timer = setTimeout(() => stop(`it took longer than ${formatTime(stepTimeoutMs)} (--step-timeout)`), stepTimeoutMs);
      }
    },
    check() {
      if (error === undefined) return;
      if (build.expired.aborted) hold.tell();
      throw error;
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      build.expired.removeEventListener('abort', onExpired);
      hold[Symbol.dispose]();
    },
  };
}

/** As Go writes durations: `1h30m`, `90s` is `1m30s`. */
export function formatTime(ms: number): string {
  const seconds = ms / 1000;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = Number((seconds % 60).toFixed(3));
  return [hours > 0 ? `${hours}h` : '', minutes > 0 ? `${minutes}m` : '', rest > 0 || seconds < 60 ? `${rest}s` : ''].join('');
}
