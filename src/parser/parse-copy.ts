/** `COPY [flags] source... destination` and ADD, which differ in their flags. */
import { readFlags } from './flags.ts';
import { joinSpacedMarkers, parseMarker } from './heredoc.ts';
import type { AddInstruction, CopyInstruction, CopySource } from './instruction.ts';
import { readJsonForm } from './json-form.ts';
import { notStrings } from './parse-command.ts';
import { type RawInstruction, syntaxError } from './raw-instruction.ts';
import { splitBlanks } from './words.ts';

const COMMON_FLAGS = { chown: 'string', chmod: 'string', link: 'boolean', exclude: 'list', 'if-exists': 'boolean' } as const;
const COPY_FLAGS = { ...COMMON_FLAGS, from: 'string', parents: 'boolean' } as const;
const ADD_FLAGS = { ...COMMON_FLAGS, checksum: 'string', 'keep-git-dir': 'boolean', unpack: 'boolean' } as const;

export function parseCopy(raw: RawInstruction): CopyInstruction {
  const flags = readFlags(raw, COPY_FLAGS);
  const { sources, destination } = parsePaths(raw);
  const { chown, chmod, exclude, from, link = false, parents = false, 'if-exists': ifExists = false } = flags;
  const { range, text } = raw;
  const place = from === '' ? undefined : from;
  return { kind: 'copy', range, text, sources, destination, chown, chmod, exclude, from: place, link, parents, ifExists };
}

export function parseAdd(raw: RawInstruction): AddInstruction {
  const flags = readFlags(raw, ADD_FLAGS);
  const { sources, destination } = parsePaths(raw);
  const {
    chown,
    chmod,
    exclude,
    checksum,
    unpack,
    link = false,
    'keep-git-dir': keepGitDir = false,
    'if-exists': ifExists = false,
  } = flags;
  const { range, text } = raw;
  return { kind: 'add', range, text, sources, destination, chown, chmod, exclude, checksum, unpack, link, keepGitDir, ifExists };
}

/** The last path is the destination. */
function parsePaths(raw: RawInstruction): { sources: CopySource[]; destination: string } {
  const json = readJsonForm(raw.rest);
  if (json.form === 'not-strings') throw notStrings(raw);
  const words = json.form === 'strings' ? json.strings : joinSpacedMarkers(splitBlanks(raw.rest));
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2) {
    throw syntaxError(raw, `${raw.keyword} takes at least one source and a destination`, {
      hint: `Write ${raw.keyword} source... destination.`,
    });
  }
  if (json.form === 'strings') return { sources: json.strings.slice(0, -1).map((path) => ({ kind: 'path', path })), destination };
  if (raw.heredocs.length > 0 && parseMarker(destination) !== undefined) {
    throw syntaxError(raw, `${raw.keyword} cannot have a heredoc as its destination`, { part: { kind: 'argument', value: destination } });
  }
  return { sources: withHeredocs(raw, words.slice(0, -1)), destination };
}

/** The words that are markers stand for the heredocs in their order. */
function withHeredocs(raw: RawInstruction, words: readonly string[]): CopySource[] {
  let next = 0;
  return words.map((path) => {
    const heredoc = parseMarker(path) === undefined ? undefined : raw.heredocs[next++];
    return heredoc === undefined ? { kind: 'path', path } : { kind: 'heredoc', heredoc };
  });
}
