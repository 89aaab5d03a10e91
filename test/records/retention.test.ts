import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { findRecord } from '../../src/records/find-record.ts';
import { idTime, lockDirectory } from '../../src/records/record-directory.ts';
import { retentionOf, sweepRecords } from '../../src/records/retention.ts';
import { record, temporaryRoot } from './_recording.ts';

const HOUR = 3_600_000;
const now = new Date('2026-05-05T12:00:00Z');
const ago = (hours: number) => new Date(now.getTime() - hours * HOUR);

function recorded(root: string, startedAt: Date): string {
  const recorder = record(root, { startedAt });
  recorder.finish({ state: 'done' });
  return recorder.id;
}
const left = (root: string) => readdirSync(path.join(root, 'builds')).sort();

test('retentionOf() knows numbers, ages and off', () => {
  assert.deepEqual(retentionOf(undefined), { most: 50, maxAgeMs: 48 * HOUR });
  assert.deepEqual(retentionOf('7'), { most: 7, maxAgeMs: 48 * HOUR });
  assert.deepEqual(retentionOf('200, 7d'), { most: 200, maxAgeMs: 168 * HOUR });
  assert.equal(retentionOf('off'), 'off');
  for (const text of ['0', '-1', '7w', 'on', '1,,2'])
    assert.throws(() => retentionOf(text), /Cannot use .* as TSBUILD_BUILD_RECORDS/, text);
});

test('sweepRecords() keeps the newest that are young enough, those that are pinned and those that run', () => {
  const root = temporaryRoot();
  const ids = [50, 40, 3, 2, 1].map((hours) => recorded(root, ago(hours)));
  const pinned = recorded(root, ago(500));
  writeFileSync(path.join(root, 'builds', pinned, 'pinned'), '');
  const running = record(root, { startedAt: ago(60) });
  sweepRecords(root, { most: 50, maxAgeMs: 48 * HOUR }, { now, coming: 1 });
  assert.deepEqual(left(root), [pinned, running.id, ...ids.slice(1)].sort());
  sweepRecords(root, { most: 3, maxAgeMs: 48 * HOUR }, { now, coming: 1 });
  assert.deepEqual(left(root), [pinned, running.id, ...ids.slice(3)].sort());
  running.finish({ state: 'failed' });
  sweepRecords(root, { most: 3, maxAgeMs: 48 * HOUR }, { now, coming: 1 });
  assert.deepEqual(left(root), [pinned, ...ids.slice(3)].sort());
});

test('sweepRecords() takes away what a crash left, unless somebody makes a record', () => {
  const root = temporaryRoot();
  const id = recorded(root, ago(1));
  const builds = path.join(root, 'builds');
  const leftovers = [`.new-${idTime(ago(0))}-aaaaaa`, `.gone-${idTime(ago(3))}-cccccc`];
  for (const name of leftovers) {
    mkdirSync(path.join(builds, name));
    writeFileSync(path.join(builds, name, 'events.part'), '');
  }
  const sweep = () => sweepRecords(root, { most: 50, maxAgeMs: 48 * HOUR }, { now, coming: 1 });
  const making = lockDirectory(builds, 'shared');
  sweep();
  assert.deepEqual(left(root), [...leftovers, id].sort());
  making?.[Symbol.dispose]();
  sweep();
  assert.deepEqual(left(root), [id]);
});

test('ids sort by time, and are found by a beginning or their random end', () => {
  const ids = ['20260505-120000000-abc123', '20260505-110000000-abd456', '20260504-110000000-ffffff'];
  assert.ok(idTime(ago(1)) < idTime(now));
  assert.deepEqual(findRecord(ids, 'ff'), { kind: 'found', id: ids[2] });
  assert.deepEqual(findRecord(ids, '20260504'), { kind: 'found', id: ids[2] });
  assert.deepEqual(findRecord(ids, 'ab'), { kind: 'several', ids: ids.slice(0, 2) });
  assert.deepEqual(findRecord(ids, '20260505-120000000-abc12'), { kind: 'found', id: ids[0] });
  for (const none of ['', 'x', '20260505-120000000-abc124']) assert.deepEqual(findRecord(ids, none), { kind: 'none' }, none);
});
