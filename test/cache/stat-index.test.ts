import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { openStatIndex } from '../../src/cache/stat-index.ts';
import { seededRandom } from '../end-to-end/_seeded-random.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'tsbuild-index-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const OTHER = { size: 4, mtimeNs: 5n, ctimeNs: 1_000_000_000n };
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

  test('X32 remembers many files, in pages of a few thousand, and drops the pages that it no longer needs', () => {
    const names = Array.from({ length: 12_001 }, (_, index) => `file-${index}`);
    const first = openStatIndex(root, '/context');
    for (const name of names) first.set(name, STAMP, name, 2000);
    first.save();
    const records = () => readdirSync(path.join(root, 'cache/contexts')).filter((name) => name !== '.tmp').length;
    assert.equal(records(), 1 + 3);
    const second = openStatIndex(root, '/context');
    for (const name of names) assert.equal(second.get(name, STAMP), name);
    const third = openStatIndex(root, '/context');
    for (const name of names.slice(0, 4000)) third.get(name, STAMP);
    third.set('new', STAMP, 'new', 2000);
    third.save();
    assert.equal(records(), 1 + 1);
    const last = openStatIndex(root, '/context');
    assert.deepEqual(
      ['new', 'file-3999', 'file-4000'].map((name) => last.get(name, STAMP)),
      ['new', 'file-3999', undefined],
    );
  });

  test('writes only the pages anew that a build changed', () => {
    const names = Array.from({ length: 20_000 }, (_, index) => `dir-${index % 7}/file-${index}`).sort();
    const first = openStatIndex(root, '/context');
    for (const name of names) first.set(name, STAMP, name, 2000);
    first.save();
    const before = readdirSync(path.join(root, 'cache/contexts'));
    const second = openStatIndex(root, '/context');
    for (const name of names) if (name !== names[7000]) second.get(name, STAMP);
    second.set(names[7000] ?? '', OTHER, 'other', 2000);
    second.save();
    const after = readdirSync(path.join(root, 'cache/contexts'));
    assert.equal(after.length, before.length);
    assert.equal(after.filter((name) => !before.includes(name)).length, 1);
    const third = openStatIndex(root, '/context');
    for (const name of names) assert.equal(third.get(name, name === names[7000] ? OTHER : STAMP), name === names[7000] ? 'other' : name);
  });

  test('X32 steps that read at different places, in builds that change some files, find what was read and nothing else', () => {
    const random = seededRandom(32);
    const truth = new Map<string, number>();
    const names = Array.from({ length: 30_000 }, (_, index) => `${index % 11}/${index % 3 === 0 ? '-' : '/'}${index}`);
    for (let build = 0; build < 5; build++) {
      const index = openStatIndex(root, '/context');
      const wanted = names.filter(() => random() < 0.9);
      const lastOdd = wanted.length - 1 - (wanted.length % 2);
      for (const at of wanted.keys()) {
        const name = wanted[at % 2 === 0 ? at : lastOdd + 1 - at] ?? '';
        const size = truth.get(name) ?? 0;
        if (random() < 0.01) truth.set(name, size + 1);
        const stamp = { ...STAMP, size: truth.get(name) ?? 0 };
        const found = index.get(name, stamp);
        if (found === undefined) index.set(name, stamp, `${name} ${stamp.size}`, 2000);
        else assert.equal(found, `${name} ${stamp.size}`);
      }
      index.save();
      const again = openStatIndex(root, '/context');
      for (const name of wanted) assert.equal(again.get(name, { ...STAMP, size: truth.get(name) ?? 0 }), `${name} ${truth.get(name) ?? 0}`);
      const records = readdirSync(path.join(root, 'cache/contexts')).length;
      assert.ok(records <= 3 + Math.ceil(wanted.length / 2500), `${records} records`);
    }
  });

  test('notes the use of a list and of the pages that were asked, for those who remove what nobody uses', () => {
    const directory = path.join(root, 'cache/contexts');
    const index = openStatIndex(root, '/context');
    for (let number = 0; number < 10_000; number++) index.set(String(number).padStart(5, '0'), STAMP, 'digest', 2000);
    index.save();
    const records = readdirSync(directory).filter((name) => name !== '.tmp');
    for (const name of records) utimesSync(path.join(directory, name), 1000, 1000);
    const again = openStatIndex(root, '/context');
    again.get('00001', STAMP);
    again.save();
    assert.equal(records.length, 3);
    assert.equal(records.filter((name) => statSync(path.join(directory, name)).mtimeMs > 1_000_000).length, 2);
  });

  test('reads a file again whose page is gone', () => {
    const index = openStatIndex(root, '/context');
    index.set('a', STAMP, 'a', 2000);
    index.save();
    const directory = path.join(root, 'cache/contexts');
    const page = readdirSync(directory).find(
      (name) => name !== '.tmp' && readFileSync(path.join(directory, name), 'utf8').includes('3 5 1000000000'),
    );
    rmSync(path.join(directory, page ?? ''));
    const again = openStatIndex(root, '/context');
    assert.equal(again.get('a', STAMP), undefined);
    again.set('a', STAMP, 'b', 2000);
    again.save();
    assert.equal(openStatIndex(root, '/context').get('a', STAMP), 'b');
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
