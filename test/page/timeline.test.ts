import assert from 'node:assert/strict';
import { test } from 'node:test';
import { criticalPath, timelineOf } from '../../src/page/timeline.ts';
import { buildRecord, stage, step } from './_records.ts';

test('criticalPath() follows what ended last among the inputs, through other stages', () => {
  const stages = [
    stage('a', [step('a/1', [0, 10]), step('a/2', [10, 500])]),
    stage('b', [step('b/1', [0, 10]), step('b/2', [10, 300])]),
    stage('c', [step('c/1', [0, 5]), step('c/2', [500, 510], { inputs: ['c/1', 'a/2', 'b/2'] }), step('c/3', [510, 900])]),
  ];
  const timeline = timelineOf(buildRecord(stages));
  assert.deepEqual(
    timeline.critical.map(({ id }) => id),
    ['a/1', 'a/2', 'c/2', 'c/3'],
  );
  assert.deepEqual(
    timeline.stages.map(({ bars }) => bars.map(({ isCritical }) => isCritical)),
    [
      [true, true],
      [false, false],
      [false, true, true],
    ],
  );
});

test('timelineOf() has no bar for what never began, and one to the end for what did not end', () => {
  const stages = [
    stage('a', [step('a/1', [0, 100]), step('a/2', [100, 0], { endedMs: undefined, outcome: undefined }), step('a/3', undefined)]),
  ];
  const { totalMs, stages: rows } = timelineOf(buildRecord(stages, { durationMs: 400 }));
  assert.equal(totalMs, 400);
  assert.deepEqual(
    rows[0]?.bars.map(({ startMs, endMs }) => [startMs, endMs]),
    [
      [0, 100],
      [100, 400],
    ],
  );
  assert.equal(timelineOf(buildRecord(stages, { durationMs: undefined })).totalMs, 100);
  assert.equal(timelineOf(buildRecord([])).totalMs, 1000);
});

test('criticalPath() ends where a record has steps in a ring', () => {
  const ring = [step('a/1', [0, 1], { inputs: ['a/2'] }), step('a/2', [1, 2], { inputs: ['a/1', 'gone/9'] })];
  assert.equal(criticalPath(ring, 2).length, 2);
});
