/** The signal of STOPSIGNAL. Source: signal(7). */
import { TsbuildError } from '../../errors.ts';

const NAMES: ReadonlySet<string> = new Set(
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO POLL PWR SYS IOT RTMIN RTMAX'.split(
    ' ',
  ),
);
/** Real-time signals are counted from the nearer end: RTMIN is 34 and RTMAX 64. */
const REAL_TIME = /^RT(?:MIN\+(?:[1-9]|1[0-5])|MAX-(?:[1-9]|1[0-4]))$/;

/** The signal as written if it is one: a number but 0, as Docker takes any, or a name, with or without `SIG`. Throws DOCKERFILE_SYNTAX. */
export function checkStopSignal(signal: string): string {
  if (/^[+-]?\d{1,18}$/.test(signal) && Number(signal) !== 0) return signal;
  const name = signal.toUpperCase().replace(/^SIG/, '');
  if (NAMES.has(name) || REAL_TIME.test(name)) return signal;
  throw new TsbuildError(
    'DOCKERFILE_SYNTAX',
    `Cannot use ${JSON.stringify(signal.slice(0, 80))} as the stop signal: there is no such signal`,
    {
      hint: 'Write a name such as SIGTERM, or a number from 1 to 64.',
    },
  );
}
