import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import type { StepAccount } from '../../src/cache/step-account.ts';
import { openStepAccounts } from '../../src/cache/step-accounts.ts';

const root = mkdtempSync(path.join(tmpdir(), 'tsbuild-accounts-'));
after(() => rmSync(root, { recursive: true, force: true }));

const placeOf = (text: string) => createHash('sha256').update(text).digest('hex');
const account = (key: string): StepAccount => ({ key, parent: { key: 'p', base: null }, parts: [['x', '1']], variables: [], files: null });

describe('openStepAccounts()', () => {
  test('keeps the latest three of a place, each key once, for other processes too', () => {
    const accounts = openStepAccounts(root);
    for (const key of ['a', 'b', 'a', 'c', 'd']) accounts.add(placeOf('1'), account(key));
    const keys = openStepAccounts(root)
      .of(placeOf('1'))
      .map(({ key }) => key);
    assert.deepEqual(keys, ['d', 'c', 'a']);
    assert.deepEqual(accounts.of(placeOf('2')), []);
  });

  test('takes a record that is torn, or of another form, as absent', () => {
    const accounts = openStepAccounts(root);
    for (const text of [
      '[{"key":',
      '{}',
      '[{"key":"a"}]',
      '[{"key":"a","parent":{"key":"p","base":null},"parts":[["x"]],"variables":[],"files":null}]',
    ]) {
      writeFileSync(path.join(root, 'cache/accounts', placeOf('torn')), text);
      assert.deepEqual(accounts.of(placeOf('torn')), [], text);
    }
  });

  test('removes the oldest places where there are too many', () => {
    const directory = path.join(root, 'cache/accounts');
    const accounts = openStepAccounts(root, 1000);
    for (let index = 0; index < 20; index++) accounts.add(placeOf(`p${index}`), account('a'));
    for (const name of readdirSync(directory).filter((each) => each !== '.tmp')) utimesSync(path.join(directory, name), 2000, 2000);
    utimesSync(path.join(directory, placeOf('p7')), 1000, 1000);
    openStepAccounts(root, 20).add(placeOf('new'), account('a'));
    assert.deepEqual(accounts.of(placeOf('p7')), []);
    assert.equal(accounts.of(placeOf('new')).length, 1);
    assert.equal(readdirSync(directory).filter((each) => each !== '.tmp').length, 16);
  });
});
