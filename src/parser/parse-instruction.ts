/** Keyword → the parser of that instruction. */
import { TsbuildError } from '../errors.ts';
import type { Instruction } from './instruction.ts';
import { locate } from './location.ts';
import { parseCmd, parseEntrypoint, parseShell } from './parse-command.ts';
import { parseAdd, parseCopy } from './parse-copy.ts';
import { parseFrom } from './parse-from.ts';
import { parseHealthcheck } from './parse-healthcheck.ts';
import { parseOnbuild } from './parse-onbuild.ts';
import { parseRun } from './parse-run.ts';
import { parseExpose, parseMaintainer, parseStopsignal, parseUser, parseVolume, parseWorkdir } from './parse-settings.ts';
import { parseArg, parseEnv, parseLabel } from './parse-variables.ts';
import type { RawInstruction } from './raw-instruction.ts';
import { didYouMean } from './suggest.ts';

const PARSERS: ReadonlyMap<string, (raw: RawInstruction) => Instruction> = new Map<string, (raw: RawInstruction) => Instruction>([
  ['FROM', parseFrom],
  ['RUN', parseRun],
  ['COPY', parseCopy],
  ['ADD', parseAdd],
  ['ENV', parseEnv],
  ['ARG', parseArg],
  ['LABEL', parseLabel],
  ['WORKDIR', parseWorkdir],
  ['USER', parseUser],
  ['CMD', parseCmd],
  ['ENTRYPOINT', parseEntrypoint],
  ['EXPOSE', parseExpose],
  ['VOLUME', parseVolume],
  ['STOPSIGNAL', parseStopsignal],
  ['SHELL', parseShell],
  ['HEALTHCHECK', parseHealthcheck],
  ['ONBUILD', (raw) => parseOnbuild(raw, parseInstruction)],
  ['MAINTAINER', parseMaintainer],
]);

/** Throws UNKNOWN_INSTRUCTION, with the nearest keyword, or what that instruction's parser throws. */
export function parseInstruction(raw: RawInstruction): Instruction {
  const parse = PARSERS.get(raw.keyword);
  if (parse !== undefined) return parse(raw);
  const guess = didYouMean(raw.keyword, PARSERS.keys());
  throw new TsbuildError('UNKNOWN_INSTRUCTION', `Unknown instruction ${printable(raw.keyword)}${guess}`, {
    hint: guess === '' ? 'If the line belongs to the instruction above, end the line before it with the escape character.' : undefined,
    location: locate(raw.source, raw, { kind: 'keyword' }),
  });
}

/** A keyword with odd characters in it, such as a no-break space, is shown in quotes. */
function printable(keyword: string): string {
  const text = keyword.slice(0, 80);
  return /^[!-~]+$/.test(text) ? text : JSON.stringify(text);
}
