/** Flags that may stand without a value, which commander has no word for: `--provenance` and `--sbom`. */
import { goBoolean } from '../go-boolean.ts';

/**
 * A shorthand may stand alone (`--sbom .`), with its value in the same word or, as docker takes it, in the next. commander knows only
 * one of the last two: what stands alone gets its value here.
 */
export function withShorthandValues(argv: readonly string[], isEnd: (word: string) => boolean): string[] {
  const end = argv.findIndex((word) => word === '--' || isEnd(word));
  return argv.map((word, i) => {
    const isAlone = (word === '--provenance' || word === '--sbom') && !isValue(argv[i + 1] ?? '');
    return isAlone && (end === -1 || i < end) ? `${word}=true` : word;
  });
}

function isValue(word: string): boolean {
  return goBoolean(word) !== undefined || /^[a-z-]+=/.test(word);
}
