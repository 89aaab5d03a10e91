/** `--build-arg-file`: build arguments as lines of a file. */
import { readFileSync, statSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';

const BYTES_MAX = 1 << 20;

/**
 * `KEY=VALUE` lines as words for `keyValues`, as in the env file of `docker run`: blank lines and lines that begin with
 * `#` are skipped, everything after the first `=` is the value, quotes too; `KEY` alone takes the caller's environment.
 * Throws USAGE for a file that cannot be read.
 */
export function readBuildArgFile(file: string, what = 'a build argument'): string[] {
  const text = readText(file).replace(/^\ufeff/, '');
  const words: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const word = line.trimStart();
    if (word === '' || word.startsWith('#')) continue;
    const key = word.split('=', 1)[0] ?? '';
    if (key === '' || /\s/.test(key.trimEnd())) {
      throw new TsbuildError('USAGE', `Cannot use line ${index + 1} of ${file} as ${what}: not KEY=VALUE`);
    }
    words.push(word.includes('=') ? word : key.trimEnd());
  }
  return words;
}

function readText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > BYTES_MAX) throw new TsbuildError('USAGE', `Cannot read ${file}: larger than ${BYTES_MAX} bytes`);
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof TsbuildError) throw error;
    throw new TsbuildError('USAGE', `Cannot read ${file}: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
  }
}
