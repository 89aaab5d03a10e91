/** `HEALTHCHECK NONE` and `HEALTHCHECK [flags] CMD command`. */
import { parseDuration } from './duration.ts';
import { readFlags } from './flags.ts';
import type { HealthcheckInstruction } from './instruction.ts';
import { parseCommandLine } from './parse-command.ts';
import { baseOf, type RawInstruction, syntaxError } from './raw-instruction.ts';
import { splitFirst } from './words.ts';

/** Shortest duration that Docker accepts, in nanoseconds. */
const DURATION_MIN_NS = 1_000_000;
const FLAGS = { interval: 'string', timeout: 'string', 'start-period': 'string', 'start-interval': 'string', retries: 'string' } as const;

export function parseHealthcheck(raw: RawInstruction): HealthcheckInstruction {
  const { first, rest } = splitFirst(raw.rest);
  switch (first.toUpperCase()) {
    case 'NONE':
      // Its flags, whatever they are, mean nothing, but are no error to Docker.
      if (rest !== '') throw syntaxError(raw, 'HEALTHCHECK NONE takes no arguments');
      return { kind: 'healthcheck', ...baseOf(raw), check: { type: 'none' } };
    case 'CMD': {
      const flags = readFlags(raw, FLAGS);
      if (rest === '') throw syntaxError(raw, 'HEALTHCHECK CMD takes a command');
      const command = parseCommandLine(raw, rest);
      if (command.form === 'exec' && command.argv.length === 0)
        throw syntaxError(raw, 'HEALTHCHECK CMD takes a command, not an empty array');
      const check = {
        type: 'command',
        command,
        intervalNs: readDuration(raw, 'interval', flags.interval),
        timeoutNs: readDuration(raw, 'timeout', flags.timeout),
        startPeriodNs: readDuration(raw, 'start-period', flags['start-period']),
        startIntervalNs: readDuration(raw, 'start-interval', flags['start-interval']),
        retries: readRetries(raw, flags.retries),
      } as const;
      return { kind: 'healthcheck', ...baseOf(raw), check };
    }
    default:
      throw syntaxError(raw, `HEALTHCHECK takes NONE or CMD${first === '' ? '' : `, not ${first.slice(0, 80)}`}`);
  }
}

function readDuration(raw: RawInstruction, name: string, value: string | undefined): number {
  if (value === undefined || value === '') return 0;
  const duration = parseDuration(value);
  const part = { kind: 'flag', name } as const;
  if (duration === undefined) {
    throw syntaxError(raw, `Cannot use ${JSON.stringify(value.slice(0, 80))} as the value of --${name}: not a duration`, {
      part,
      hint: 'Write it with units, such as 30s or 1m30s.',
    });
  }
  if (duration < 0) throw syntaxError(raw, `Cannot use ${value.slice(0, 80)} as the value of --${name}: it is negative`, { part });
  if (duration > 0 && duration < DURATION_MIN_NS) {
    throw syntaxError(raw, `Cannot use ${value.slice(0, 80)} as the value of --${name}: it is shorter than 1ms`, { part });
  }
  return duration;
}

function readRetries(raw: RawInstruction, value: string | undefined): number {
  if (value === undefined || value === '') return 0;
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw syntaxError(raw, `Cannot use ${JSON.stringify(value.slice(0, 80))} as the value of --retries: not a whole number of 0 or more`, {
    part: { kind: 'flag', name: 'retries' },
  });
}
