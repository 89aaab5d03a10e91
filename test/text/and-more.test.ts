import assert from 'node:assert/strict';
import { test } from 'node:test';
import { andMore } from '../../src/text/and-more.ts';

test('andMore() says how many are not shown, where some are not', () => {
  assert.equal(andMore(['a', 'b'], 5), 'a, b and 3 more');
  assert.equal(andMore(['a', 'b'], 2), 'a, b');
  assert.equal(andMore(['a'], 1), 'a');
});
