/** How long a build may take: the caller's signal and a clock, as one signal. */
import type { BuildDeadline } from '../builder/execute/resources.ts';
import { formatTime } from '../builder/execute/step-deadline.ts';
import { TsbuildError } from '../errors.ts';

export interface Deadline extends BuildDeadline, Disposable {
  /** Aborts with the caller's, or with TIMEOUT: when time is up, unless a step is about to say so itself. */
  readonly signal: AbortSignal;
}

/** setTimeout's own limit: 24.8 days. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** Throws USAGE for what is no time. */
export function openDeadline({ signal, timeoutMs }: { signal?: AbortSignal | undefined; timeoutMs?: number | undefined }): Deadline {
  if (timeoutMs !== undefined) checkTimeout('timeout', timeoutMs);
  const expired = new AbortController();
  const hard = new AbortController();
  let holders = 0;
  let isTold = false;
  const reason = `the build took longer than ${formatTime(timeoutMs ?? 0)} (--timeout)`;
  const abort = (): void =>
    hard.abort(new TsbuildError('TIMEOUT', `Cannot finish the build: it took longer than ${formatTime(timeoutMs ?? 0)} (--timeout)`));
  const expire = (): void => {
    expired.abort();
    if (holders === 0) abort();
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs);
  return {
    signal: signal === undefined ? hard.signal : AbortSignal.any([signal, hard.signal]),
    expired: expired.signal,
    reason,
    hold() {
      holders++;
      let isHeld = true;
      return {
        tell() {
          isTold = true;
        },
        [Symbol.dispose]() {
          if (isHeld) holders--;
          isHeld = false;
          if (holders === 0 && expired.signal.aborted && !isTold) abort();
        },
      };
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

/** Throws USAGE. */
export function checkTimeout(flag: 'timeout' | 'step-timeout', ms: number): void {
  if (Number.isFinite(ms) && ms > 0 && ms <= TIMEOUT_MS_MAX) return;
  throw new TsbuildError('USAGE', `Cannot use ${ms / 1000}s as --${flag}: not a time from 1ms to 24 days`);
}
