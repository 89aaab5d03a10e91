/** How much of a step's output is passed on: a step that floods its log costs neither memory nor disk. BuildKit's rules and words. */
import { milliseconds } from '../../clock.ts';

export interface OutputLimits {
  /** Bytes of each stream of a step; undefined is without end. */
  readonly total: number | undefined;
  /** Bytes a second of each stream, over all the time that it has been running. */
  readonly perSecond: number | undefined;
}

/** One stream of a step: what is to be shown of these bytes. */
export type OutputLimiter = (data: Uint8Array) => Uint8Array;

const TOTAL = 2 * 1024 * 1024;
const PER_SECOND = 200 * 1024;

/** `TSBUILD_STEP_LOG_MAX_SIZE` and `…_SPEED`, or BuildKit's names of them; -1 is no limit, what is no number counts as not set. */
export function outputLimits(env: Readonly<Record<string, string | undefined>>): OutputLimits {
  const read = (name: string, standard: number): number | undefined => {
    const text = env[`TSBUILD_STEP_LOG_MAX_${name}`] ?? env[`BUILDKIT_STEP_LOG_MAX_${name}`] ?? '';
    if (!/^(?:-1|\d{1,15})$/.test(text)) return standard;
    return text === '-1' ? undefined : Number(text);
  };
  return { total: read('SIZE', TOTAL), perSecond: read('SPEED', PER_SECOND) };
}

/** Bytes that are left out count, too: a stream that goes on flooding is not heard again before its mean speed is fair. */
export function openOutputLimiter(limits: OutputLimits, now: () => number = milliseconds): OutputLimiter {
  const startedAt = now();
  let seen = 0;
  let isClipping = false;
  return (data) => {
    const before = seen;
    seen += data.length;
    const { bytes, reason } = allowance(limits, Math.max(1, Math.ceil((now() - startedAt) / 1000)));
    const left = Math.max(0, bytes - before);
    if (data.length <= left) {
      isClipping = false;
      return data;
    }
    const kept = data.subarray(0, left);
    if (isClipping) return kept;
    isClipping = true;
    return Buffer.concat([kept, Buffer.from(`\n[output clipped, ${reason} reached]\n`)]);
  };
}

function allowance({ total, perSecond }: OutputLimits, seconds: number): { bytes: number; reason: string } {
  const whole = total ?? Number.POSITIVE_INFINITY;
  const sofar = perSecond === undefined ? Number.POSITIVE_INFINITY : perSecond * seconds;
  if (sofar < whole) return { bytes: sofar, reason: `log speed ${formatBytes(perSecond ?? 0)}/s` };
  return { bytes: whole, reason: `log limit ${formatBytes(whole)}` };
}

function formatBytes(bytes: number): string {
  if (bytes >= 2 ** 20) return `${Number((bytes / 2 ** 20).toFixed(1))}MiB`;
  return bytes >= 1024 ? `${Number((bytes / 1024).toFixed(1))}KiB` : `${bytes}B`;
}
