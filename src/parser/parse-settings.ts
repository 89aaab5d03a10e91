/** Instructions that take the rest of their line, or a list: WORKDIR, USER, STOPSIGNAL, MAINTAINER, EXPOSE, VOLUME. */
import { NO_FLAGS, readFlags } from './flags.ts';
import type {
  ExposeInstruction,
  MaintainerInstruction,
  StopsignalInstruction,
  UserInstruction,
  VolumeInstruction,
  WorkdirInstruction,
} from './instruction.ts';
import { readJsonForm } from './json-form.ts';
import { notStrings } from './parse-command.ts';
import { baseOf, type RawInstruction, syntaxError } from './raw-instruction.ts';
import { splitBlanks } from './words.ts';

export function parseWorkdir(raw: RawInstruction): WorkdirInstruction {
  return { kind: 'workdir', ...baseOf(raw), path: restOf(raw, 'a path') };
}

export function parseUser(raw: RawInstruction): UserInstruction {
  return { kind: 'user', ...baseOf(raw), user: restOf(raw, 'a user') };
}

export function parseStopsignal(raw: RawInstruction): StopsignalInstruction {
  return { kind: 'stopsignal', ...baseOf(raw), signal: restOf(raw, 'a signal') };
}

export function parseMaintainer(raw: RawInstruction): MaintainerInstruction {
  return { kind: 'maintainer', ...baseOf(raw), name: restOf(raw, 'a name') };
}

/** Sorted as they are written, which the history shows, as BuildKit's does. */
export function parseExpose(raw: RawInstruction): ExposeInstruction {
  return { kind: 'expose', ...baseOf(raw), ports: splitBlanks(restOf(raw, 'at least one port')).toSorted() };
}

/** A JSON array or words between blanks. */
export function parseVolume(raw: RawInstruction): VolumeInstruction {
  const rest = restOf(raw, 'at least one path');
  const json = readJsonForm(rest);
  if (json.form === 'not-strings') throw notStrings(raw);
  const paths = json.form === 'strings' ? json.strings : splitBlanks(rest);
  if (paths.length === 0) throw syntaxError(raw, 'VOLUME takes at least one path');
  if (paths.includes('')) throw syntaxError(raw, 'VOLUME cannot take an empty path');
  return { kind: 'volume', ...baseOf(raw), paths };
}

function restOf(raw: RawInstruction, what: string): string {
  readFlags(raw, NO_FLAGS);
  if (raw.rest === '') throw syntaxError(raw, `${raw.keyword} takes ${what}`);
  return raw.rest;
}
