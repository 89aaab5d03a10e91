/** Random sequences of ARG and ENV, in global scope, in a stage and in a child of it, with random --build-arg. */
import { type Random, random } from '../parser/_random.ts';

export interface Sequence {
  readonly dockerfile: string;
  readonly buildArgs: Readonly<Record<string, string>>;
}

const NAMES = ['A', 'B', 'C', 'PATH', 'TARGETARCH', 'http_proxy'] as const;

export function argumentSequences(seed: number, count: number): Sequence[] {
  const from = random(seed);
  return Array.from({ length: count }, () => ({
    dockerfile: [
      ...lines(from, ['ARG']),
      'FROM busybox:corpus AS one',
      ...lines(from, ['ARG', 'ARG', 'ENV']),
      'RUN env | grep -E "^(A|B|C|TARGETARCH|http_proxy|HTTP_PROXY)=" | sort > /one; true',
      `FROM ${from.pick(['one', 'busybox:corpus'])}`,
      ...lines(from, ['ARG', 'ENV']),
      'RUN env | grep -E "^(A|B|C|TARGETARCH|http_proxy|HTTP_PROXY)=" | sort > /two; true',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the language under test
      'LABEL seen="$A|${B-unset}|${C:-none}|$TARGETARCH|$http_proxy"',
      '',
    ].join('\n'),
    buildArgs: Object.fromEntries(
      Array.from({ length: from.below(3) }, () => [from.pick(['A', 'B', 'C', 'http_proxy', 'TARGETARCH']), from.pick(['', 'given', '$A'])]),
    ),
  }));
}

function lines(from: Random, keywords: readonly string[]): string[] {
  return Array.from({ length: from.below(4) }, () => {
    const keyword = from.pick(keywords);
    const words = Array.from({ length: 1 + from.below(3) }, () => declaration(from, keyword));
    return `${keyword} ${words.join(' ')}`;
  });
}

function declaration(from: Random, keyword: string): string {
  const name = from.pick(NAMES);
  if (name === 'PATH') return keyword === 'ENV' ? 'PATH=$PATH:/x' : 'A';
  if (keyword === 'ARG' && from.below(3) === 0) return name;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the language under test
  return `${name}=${from.pick(['', '1', '2', '$A', '$B$C', '${A:-d}', '"$C x"', '${B+set}', "'$A'"])}`;
}
