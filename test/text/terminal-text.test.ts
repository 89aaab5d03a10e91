import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { outputText, plainJson, plainLines, plainText } from '../../src/text/terminal-text.ts';

test('plainText() takes every escape sequence out whole', () => {
  const cases: [string, string][] = [
    ['a\x1b[31mb\x1b[0m', 'ab'],
    ['\x1b]0;title\x07text', 'text'],
    ['\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\', 'link'],
    ['\x1bP1;2q data\x1b\\after', 'after'],
    ['\x1b[2J\x1b[H\x1b[?25l', ''],
    ['\x1bc\x1b7\x1b(B', ''],
    ['\x9b31mx\x9d0;t\x9cy', 'xy'],
    ['a\rb\x08c\x07\x00d', 'abcd'],
    ['tab\there', 'tab\there'],
    ['\u202Eevil\u2066', 'evil'],
    ['unfinished \x1b]0;title', 'unfinished '],
    ['lone \x1b', 'lone '],
    ['é😀', 'é😀'],
  ];
  for (const [input, expected] of cases) assert.equal(plainText(input), expected, JSON.stringify(input));
});

test('plainLines() keeps line breaks', () => {
  assert.equal(plainLines('a\x07\nb\r\nc\rd'), 'a\nb\ncd');
});

test('outputText() keeps colours and ends them', () => {
  assert.equal(outputText('\x1b[1;31mred\x1b[2Kline', 'keep'), '\x1b[1;31mredline\x1b[0m');
  assert.equal(outputText('\x1b[31mred', 'drop'), 'red');
  assert.equal(outputText('plain\x1b[H', 'keep'), 'plain');
});

test('outputText() lets no control character through but those of colours', () => {
  const piece = fc.constantFrom(
    '\x1b',
    '[',
    ']',
    '0',
    '31',
    'm',
    ';',
    '\x07',
    '\\',
    'P',
    '\x9b',
    '\x9d',
    'a',
    '\r',
    '\x1b[31m',
    '?25l',
    '\x1b]',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = outputText(pieces.join(''), 'keep').replace(/\x1b\[[0-9;:]*m/g, '');
      assert.doesNotMatch(text, /[\x00-\x08\x0a-\x1f\x7f-\x9f]/);
      assert.doesNotMatch(plainText(pieces.join('')), /[\x00-\x08\x0a-\x1f\x7f-\x9f]/);
    }),
    { numRuns: 5000 },
  );
});

test('plainJson() is the same JSON without a control character in it', () => {
  const value = { '\x9b2J': ['\x1b[2J', '\u202e\u2066\x7f'], n: 1 };
  assert.equal(plainJson(value), '{"\\u009b2J":["\\u001b[2J","\\u202e\\u2066\\u007f"],"n":1}');
  assert.deepEqual(JSON.parse(plainJson(value, 2)), value);
});
