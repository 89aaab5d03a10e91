/** Expands the words of an instruction where the language says so. Source: Dockerfile reference "Environment replacement". */
import { TsbuildError } from '../../errors.ts';
import { type ExpandOptions, expandWord, expandWords, type Lookup } from '../../parser/expand.ts';
import { heredocContent } from '../../parser/heredoc.ts';
import type { CopySource, Heredoc, Pair, Word } from '../../parser/instruction.ts';
import type { StageInstruction } from './build-plan.ts';

/**
 * The same instruction with its words expanded; `lookup` must see the values from before it. The declarations of an ARG
 * stay words, since each sees those before it (`resolveArg`); RUN, CMD, ENTRYPOINT, HEALTHCHECK and SHELL are the shell's.
 * Throws EXPANSION; DOCKERFILE_SYNTAX for a name or path that expands to nothing. No location.
 */
export function expandInstruction(instruction: StageInstruction, lookup: Lookup, options: ExpandOptions): StageInstruction {
  const expand = (word: Word): string => expandWord(word, lookup, options);
  const expandBody = (body: string): string =>
    expandWord(body, lookup, { escape: '\\', quotes: 'literal', onUndefined: options.onUndefined });
  switch (instruction.kind) {
    case 'env':
    case 'label':
      return { ...instruction, pairs: instruction.pairs.map((pair) => expandPair(pair, instruction.kind, expand)) };
    case 'copy':
      return { ...instruction, ...expandPaths(instruction, expand, expandBody) };
    case 'add':
      return { ...instruction, ...expandPaths(instruction, expand, expandBody), checksum: optional(instruction.checksum, expand) };
    case 'workdir':
      return { ...instruction, path: expand(instruction.path) };
    case 'user':
      return { ...instruction, user: expand(instruction.user) };
    case 'stopsignal':
      return { ...instruction, signal: expand(instruction.signal) };
    case 'expose':
      return { ...instruction, ports: instruction.ports.flatMap((word) => expandWords(word, lookup, options)) };
    case 'volume':
      return { ...instruction, paths: instruction.paths.map((word) => needText(expand(word), word, 'volume')) };
    case 'arg':
    case 'run':
    case 'cmd':
    case 'entrypoint':
    case 'shell':
    case 'healthcheck':
    case 'onbuild':
    case 'maintainer':
      return instruction;
  }
}

interface Paths {
  readonly sources: readonly CopySource[];
  readonly destination: Word;
  readonly chown: Word | undefined;
  readonly chmod: Word | undefined;
}

type Expand = (word: Word) => string;

function expandPaths({ sources, destination, chown, chmod }: Paths, expand: Expand, expandBody: Expand): Paths {
  return {
    sources: sources.map((source) =>
      source.kind === 'path'
        ? { kind: 'path', path: expand(source.path) }
        : { kind: 'heredoc', heredoc: expandHeredoc(source.heredoc, expandBody) },
    ),
    destination: expand(destination),
    chown: optional(chown, expand),
    chmod: optional(chmod, expand),
  };
}

/** The content as it will be in the file: tabs stripped first, as they are part of what is written and not of a value. */
function expandHeredoc(heredoc: Heredoc, expandBody: Expand): Heredoc {
  const content = heredocContent(heredoc);
  return { ...heredoc, body: heredoc.expand ? expandBody(content) : content, chomp: false, expand: false };
}

function expandPair({ key, value }: Pair, kind: 'env' | 'label', expand: (word: Word) => string): Pair {
  return { key: needText(expand(key), key, kind === 'env' ? 'variable name' : 'label'), value: expand(value) };
}

function optional(word: Word | undefined, expand: (word: Word) => string): string | undefined {
  return word === undefined ? undefined : expand(word);
}

function needText(text: string, word: Word, what: string): string {
  if (text !== '') return text;
  throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use ${word.slice(0, 200)} as a ${what}: it is empty after expansion`);
}
