import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { parseTarBlock } from '../../src/layers/tar-fields.ts';
import { block, sumUp } from './_archives.ts';

const HEADERS = {
  ustar: block({ name: 'dir/file', uid: '0001750\0' }),
  gnu: block({ name: 'file', magic: 'ustar  \0', mtime: '14371557301\0' }),
  'before ustar': block({ name: 'old/', type: '\0', magic: '' }),
};

for (const [name, header] of Object.entries(HEADERS)) {
  test(`F2 parseTarBlock() answers each byte in each place of a header (${name}) with safe numbers or LAYER_INVALID`, () => {
    let taken = 0;
    for (let at = 0; at < header.length; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const bytes = Buffer.from(header);
        bytes[at] = byte;
        if (at < 148 || at >= 156) sumUp(bytes);
        taken += isTaken(bytes) ? 1 : 0;
      }
    }
    // Names take any byte, numbers do not.
    assert.ok(taken > 40_000 && taken < 120_000, `${taken} of ${512 * 256}`);
  });
}

function isTaken(bytes: Buffer): boolean {
  try {
    const { size, uid, gid, mode, major, minor, mtimeSeconds } = parseTarBlock(bytes) ?? assert.fail('a header is no end');
    for (const number of [size, uid, gid, mode, major, minor]) assert.ok(Number.isSafeInteger(number) && number >= 0);
    assert.ok(Number.isSafeInteger(mtimeSeconds));
    return true;
  } catch (error) {
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_LAYER_INVALID') return false;
    throw error;
  }
}
