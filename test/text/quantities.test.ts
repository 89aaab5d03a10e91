import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAge, formatDuration, formatSize, parseSize } from '../../src/text/quantities.ts';

test('formatSize() gives three digits in decimal units', () => {
  const cases: [number, string][] = [
    [0, '0B'],
    [999, '999B'],
    [1000, '1.00kB'],
    [12_345, '12.3kB'],
    [123_456, '123kB'],
    [999_499, '999kB'],
    [999_500, '1.00MB'],
    [1_500_000_000, '1.50GB'],
  ];
  for (const [bytes, expected] of cases) assert.equal(formatSize(bytes), expected);
});

test('parseSize() reads units of 1024, as Docker writes them, and nothing that is no exact number', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['512', 512],
    ['512b', 512],
    ['1k', 1024],
    ['10M', 10 << 20],
    ['1.5 GB', 1.5 * 2 ** 30],
    ['64KiB', 64 << 10],
    ['1.0001k', 1024],
    ['2t', 2 ** 41],
    ['7p', 7 * 2 ** 50],
  ];
  for (const [text, bytes] of cases) assert.equal(parseSize(text), bytes, text);
  for (const text of ['', 'b', 'k', '-1', '1x', '1bb', '1ib', '1 000', '1e3', '.5g', '9999999999p', '999999999999t', 'Infinity'])
    assert.equal(parseSize(text), undefined, text);
});

test('formatDuration() grows from tenths of seconds to hours', () => {
  const cases: [number, string][] = [
    [0, '0.0s'],
    [1234, '1.2s'],
    [59_949, '59.9s'],
    [59_960, '1m 00s'],
    [125_000, '2m 05s'],
    [3_720_000, '1h 02m'],
  ];
  for (const [ms, expected] of cases) assert.equal(formatDuration(ms), expected);
});

test('formatAge() names one coarse unit', () => {
  assert.equal(formatAge(10_000), 'just now');
  assert.equal(formatAge(60_000), '1 minute ago');
  assert.equal(formatAge(3 * 86_400_000), '3 days ago');
});
