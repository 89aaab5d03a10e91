/** expandWord against what a real BuildKit made of thousands of random words: fixtures/expansion, by scripts/record-expansion.sh. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { expandWord } from '../../src/parser/expand.ts';
import type { Escape } from '../../src/parser/instruction.ts';

type Recorded = readonly [word: string, value: string | null];

const { variables, words } = JSON.parse(readFileSync('fixtures/expansion/words.json', 'utf8')) as {
  readonly variables: Readonly<Record<string, string>>;
  readonly words: Readonly<Record<Escape, readonly Recorded[]>>;
};

for (const escapeChar of ['\\', '`'] as const) {
  test(`expandWord makes of ${words[escapeChar].length} random words with the escape character ${escapeChar} what BuildKit makes of them`, () => {
    const wrong = words[escapeChar].filter(([word, value]) => expanded(word, escapeChar) !== value);
    assert.deepEqual(
      wrong.map(([word, value]) => [word, expanded(word, escapeChar)]),
      wrong.map(([word, value]) => [word, value]),
    );
    assert.ok(words[escapeChar].filter(([, value]) => value === null).length >= words[escapeChar].length / 100);
  });
}

function expanded(word: string, escapeChar: Escape): string | null {
  try {
    return expandWord(`=${word}.`, (name) => variables[name], { escape: escapeChar }).slice(1, -1);
  } catch (error) {
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_EXPANSION') return null;
    throw error;
  }
}
