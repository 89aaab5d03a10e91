import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { openRecordFiles } from '../../src/cache/record-files.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-records-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const KEY = 'a'.repeat(64);
const isText = (value: unknown): value is string => typeof value === 'string';

describe('openRecordFiles()', () => {
  test('gives back what was set, and undefined for what was not', () => {
    const records = openRecordFiles(directory, isText);
    assert.equal(records.get(KEY), undefined);
    records.set(KEY, 'one');
    records.set(KEY, 'two');
    assert.equal(openRecordFiles(directory, isText).get(KEY), 'two');
  });

  test('reads a torn or foreign record as absent', () => {
    const records = openRecordFiles(directory, isText);
    for (const bytes of ['', '"tor', '{"other":1}']) {
      writeFileSync(path.join(directory, KEY), bytes);
      assert.equal(records.get(KEY), undefined);
    }
  });

  test('refuses a key that could be a path', () => {
    const records = openRecordFiles(directory, isText);
    assert.throws(() => records.get('../x'), /Not a record key/);
  });

  test('removes what a dead process left', () => {
    openRecordFiles(directory, isText);
    writeFileSync(path.join(directory, '.tmp', '4194305-dead'), 'x');
    openRecordFiles(directory, isText);
    assert.deepEqual(readdirSync(path.join(directory, '.tmp')), []);
  });
});
