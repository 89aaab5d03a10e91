import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildPage } from '../../src/page/build-page.ts';
import { escapeText, markup } from '../../src/page/html.ts';
import { logMarkup } from '../../src/page/log-markup.ts';
import { buildRecord, stage, step } from './_records.ts';

test('markup escapes what is put into it, and shows controls and marks of direction', () => {
  assert.equal(
    markup`<p title="${`"'&`}">${'</script>'}${[markup`<b>`, markup`${1}`]}${undefined}${false}</p>`.markup,
    '<p title="&quot;&#39;&amp;">&lt;/script&gt;<b>1</p>',
  );
  assert.equal(escapeText('a\x00\x1b[2J\u202e\u2028\ud800é😀\tb\n'), 'a\\x00\\x1b[2J\\u202e\\u2028\\ud800é😀\tb\n');
  const lookalike = { markup: '<script>' } as unknown as string;
  assert.equal(markup`${lookalike}`.markup, '[object Object]');
});

test('logMarkup() keeps colours as classes and nothing else that a terminal obeys', () => {
  const lines = logMarkup('\x1b[1;31mred\x1b[0m \x1b[38;5;200mx\x1b]0;title\x07\x1b[2J<b>\n50%\r100%\r\n').map((line) => line.markup);
  assert.deepEqual(lines, ['<span class="c-red c-bold">red</span> x&lt;b&gt;\n', '100%\n']);
});

test('buildPage() of a build that was never planned, or that did nothing, is whole', () => {
  for (const record of [
    buildRecord([], { dockerfile: undefined, durationMs: undefined, state: 'interrupted' }),
    buildRecord([stage('a', [step('a/1', undefined)])], { state: 'canceled' }),
    buildRecord([], { error: { code: 'ERR', message: 'no', hint: 'h', excerpt: undefined }, state: 'failed' }),
  ]) {
    const page = buildPage({ record, logs: new Map(), images: [], madeAt: '2026-05-05T12:00:00.000Z' });
    assert.match(page, /^<!doctype html>[\s\S]*<\/html>\n$/);
    assert.doesNotMatch(page, /undefined|NaN|\[object/);
  }
});

test('buildPage() bounds what it draws', () => {
  const stages = Array.from({ length: 500 }, (_, i) =>
    stage(
      `s${i}`,
      Array.from({ length: 20 }, (__, n) => step(`s${i}/${n + 1}`, [n, n + 1], { reasons: [{ kind: 'first' }] })),
    ),
  );
  const page = buildPage({ record: buildRecord(stages), logs: new Map(), images: [], madeAt: '2026-05-05T12:00:00.000Z' });
  assert.match(page, /500 stages, images and contexts: too many for a drawing/);
  assert.match(page, /The first 3000 of 10000 steps/);
  assert.ok(page.length < 5_000_000, String(page.length));
});
