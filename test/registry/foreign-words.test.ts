import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownUrl } from '../../src/http/shown-url.ts';
import { quoteForeignWords } from '../../src/registry/foreign-words.ts';

test('H8 shownUrl() keeps of a URL what holds no secret', () => {
  const url = 'https://user:password@cdn.example:8443/v2/blobs/x?X-Amz-Signature=abc&sig=def#token';
  assert.equal(shownUrl(new URL(url)), 'https://cdn.example:8443/v2/blobs/x');
});

test('quoteForeignWords() takes secrets of URLs and control characters out of foreign words, and bounds them', () => {
  assert.equal(quoteForeignWords('see\x1b[31m https://u:p@h.example/a?k=secret now\n'), 'see [31m https://h.example/a now');
  assert.equal(quoteForeignWords('http://[broken?secret=1'), 'a URL');
  assert.equal(quoteForeignWords('x'.repeat(5000)).length, 300);
});
