import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { openStatIndex } from '../../src/cache/stat-index.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'tsbuild-index-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const STAMP = { size: 3, mtimeNs: 5n, ctimeNs: 1_000_000_000n };

describe('openStatIndex()', () => {
  test('gives a digest back for the same stamp in a later opening', () => {
    const index = openStatIndex(root, '/context');
    index.set('a', STAMP, 'digest', 2000);
    index.save();
    const again = openStatIndex(root, '/context');
    assert.equal(again.get('a', STAMP), 'digest');
    assert.equal(openStatIndex(root, '/other').get('a', STAMP), undefined);
    for (const other of [
      { ...STAMP, size: 4 },
      { ...STAMP, mtimeNs: 6n },
      { ...STAMP, ctimeNs: 7n },
    ])
      assert.equal(again.get('a', other), undefined);
  });

  test('does not trust a file that changed within a clock tick of being read', () => {
    const index = openStatIndex(root, '/context');
    index.set('a', STAMP, 'digest', 1010);
    assert.equal(index.get('a', STAMP), undefined);
  });

  test('X32 remembers many files, in records of a few thousand, and drops the records that it no longer needs', () => {
    const names = Array.from({ length: 12_001 }, (_, index) => `file-${index}`);
    const first = openStatIndex(root, '/context');
    for (const name of names) first.set(name, STAMP, name, 2000);
    first.save();
    const records = () => readdirSync(path.join(root, 'cache/contexts')).filter((name) => name !== '.tmp').length;
    assert.equal(records(), 3);
    const second = openStatIndex(root, '/context');
    for (const name of names) assert.equal(second.get(name, STAMP), name);
    const third = openStatIndex(root, '/context');
    for (const name of names.slice(0, 4000)) third.get(name, STAMP);
    third.set('new', STAMP, 'new', 2000);
    third.save();
    assert.equal(records(), 1);
    const last = openStatIndex(root, '/context');
    assert.deepEqual(
      ['new', 'file-3999', 'file-4000'].map((name) => last.get(name, STAMP)),
      ['new', 'file-3999', undefined],
    );
  });

  test('forgets files that a build did not ask for', () => {
    const first = openStatIndex(root, '/context');
    first.set('a', STAMP, 'a', 2000);
    first.set('b', STAMP, 'b', 2000);
    first.save();
    const second = openStatIndex(root, '/context');
    second.get('a', STAMP);
    second.set('c', STAMP, 'c', 2000);
    second.save();
    const third = openStatIndex(root, '/context');
    assert.deepEqual([third.get('a', STAMP), third.get('b', STAMP), third.get('c', STAMP)], ['a', undefined, 'c']);
  });
});
