/** ENV, LABEL and ARG: `NAME=value ...` with quotes and escapes, or the old `NAME value`. */
import { NO_FLAGS, readFlags } from './flags.ts';
import type { ArgDeclaration, ArgInstruction, EnvInstruction, LabelInstruction, Pair } from './instruction.ts';
import { baseOf, type RawInstruction, syntaxError } from './raw-instruction.ts';
import { splitFirst, splitQuoted } from './words.ts';

export function parseEnv(raw: RawInstruction): EnvInstruction {
  return { kind: 'env', ...baseOf(raw), pairs: parsePairs(raw) };
}

export function parseLabel(raw: RawInstruction): LabelInstruction {
  return { kind: 'label', ...baseOf(raw), pairs: parsePairs(raw) };
}

export function parseArg(raw: RawInstruction): ArgInstruction {
  readFlags(raw, NO_FLAGS);
  const words = splitQuoted(raw.rest, raw.escape);
  if (words.length === 0) throw syntaxError(raw, 'ARG takes at least one name', { hint: 'Write ARG NAME[=default].' });
  return { kind: 'arg', ...baseOf(raw), declarations: words.map((word) => parseDeclaration(raw, word)) };
}

function parseDeclaration(raw: RawInstruction, word: string): ArgDeclaration {
  if (!word.includes('=')) return { key: word, value: undefined };
  return splitPair(raw, word);
}

function parsePairs(raw: RawInstruction): Pair[] {
  readFlags(raw, NO_FLAGS);
  const words = splitQuoted(raw.rest, raw.escape);
  const [first] = words;
  if (first === undefined)
    throw syntaxError(raw, `${raw.keyword} takes at least one name and value`, { hint: `Write ${raw.keyword} NAME=value.` });
  if (first.includes('=')) return words.map((word) => splitPair(raw, word));
  const { first: key, rest: value } = splitFirst(raw.rest);
  if (value === '') {
    throw syntaxError(raw, `${raw.keyword} ${key.slice(0, 80)} has no value`, { hint: `Write ${raw.keyword} ${key.slice(0, 80)}=value.` });
  }
  return [{ key, value }];
}

function splitPair(raw: RawInstruction, word: string): Pair {
  const equals = word.indexOf('=');
  const part = { kind: 'argument', value: word } as const;
  if (equals === -1) {
    throw syntaxError(raw, `Cannot find "=" in ${JSON.stringify(word.slice(0, 80))} of ${raw.keyword}`, {
      part,
      hint: 'Write NAME=value; put a value with blanks in quotes.',
    });
  }
  if (equals === 0) throw syntaxError(raw, `${raw.keyword} has a pair without a name: ${word.slice(0, 80)}`, { part });
  return { key: word.slice(0, equals), value: word.slice(equals + 1) };
}
