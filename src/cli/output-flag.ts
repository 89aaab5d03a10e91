/** `--output`, as docker reads it. */
import { TsbuildError } from '../errors.ts';
import { type Output, parseOutput, writesToStdout } from '../index.ts';
import type { Flags } from './command-table.ts';
import { csvWords } from './csv-flags.ts';
import type { Terminal } from './terminal.ts';

/** Those of `--output` alone: `--push` and `--load` are the library's. Throws USAGE. */
export function outputsOf({ output = [] }: Flags, { stdout }: Pick<Terminal, 'stdout'>): Output[] {
  const outputs = [output].flat().map(outputOf);
  if (!stdout.isTTY || !outputs.some(writesToStdout)) return outputs;
  throw new TsbuildError('USAGE', 'Cannot write an output to a terminal', {
    hint: 'Give it a file, dest=FILE, or redirect standard output.',
  });
}

/** A word alone is a directory, and `-` a tar on standard output. Unlike for docker, `dest=out` alone is a mistake and no directory of that name. */
function outputOf(text: string): Output {
  const words = csvWords('--output', text);
  if (words.length === 1 && words[0] === text && !/^[a-z-]+=/i.test(text)) {
    return text === '-' ? { type: 'tar', dest: '-' } : parseOutput([...Object.entries({ type: 'local', dest: text })]);
  }
  return parseOutput(words.map((word) => attributeOf(word, text)));
}

function attributeOf(word: string, text: string): [string, string] {
  const equals = word.indexOf('=');
  if (equals > 0) return [word.slice(0, equals).trim(), word.slice(equals + 1)];
  throw new TsbuildError(
    'USAGE',
    `Cannot read ${JSON.stringify(text.slice(0, 300))} as --output: ${JSON.stringify(word)} is not NAME=VALUE`,
  );
}
