/** The signal of STOPSIGNAL. Source: signal(7). */
import { TsbuildError } from '../../errors.ts';

const NAMES: ReadonlySet<string> = new Set(
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO POLL PWR SYS IOT UNUSED RTMIN RTMAX'.split(
    ' ',
  ),
);
const SIGNAL_MAX = 64;
/** Real-time signals are counted from both ends. */
const REAL_TIME = /^RT(?:MIN\+|MAX-)([0-9]{1,2})$/;

/** The signal as written if it is one: a number or a name, with or without `SIG`. Throws DOCKERFILE_SYNTAX. */
export function checkStopSignal(signal: string): string {
  if (/^\d{1,3}$/.test(signal) && Number(signal) >= 1 && Number(signal) <= SIGNAL_MAX) return signal;
  const name = signal.toUpperCase().replace(/^SIG/, '');
  const realTime = REAL_TIME.exec(name);
  // RTMIN is 34 and RTMAX 64.
  if (NAMES.has(name) || (realTime !== null && Number(realTime[1]) <= 30)) return signal;
  throw new TsbuildError(
    'DOCKERFILE_SYNTAX',
    `Cannot use ${JSON.stringify(signal.slice(0, 80))} as the stop signal: there is no such signal`,
    {
      hint: 'Write a name such as SIGTERM, or a number from 1 to 64.',
    },
  );
}
