import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lastFiles } from '../../../src/builder/plan/last-files.ts';
import { plan } from './_plan.ts';

const lastOf = (...stages: string[]) => [...lastFiles(plan(stages.join('\n')))].sort();

describe('lastFiles()', () => {
  test('are the steps of the target from its last RUN on', () => {
    assert.deepEqual(lastOf('FROM a AS s\nCOPY f /\nRUN x\nCOPY g /\nENV A=1'), ['s/3', 's/4', 's/5']);
    assert.deepEqual(lastOf('FROM a AS base\nCOPY f /', 'FROM base AS s\nCOPY g /'), ['base/1', 'base/2', 's/1', 's/2']);
    assert.deepEqual(lastOf('FROM a AS base\nCOPY f /', 'FROM base AS s\nRUN x\nCOPY g /'), ['s/2', 's/3']);
  });

  test('are none of another stage, and none that a RUN of another stage waits for', () => {
    assert.deepEqual(lastOf('FROM a AS tool\nCOPY f /', 'FROM a AS s\nCOPY --from=tool /f /'), ['s/1', 's/2']);
    const base = 'FROM a AS base\nCOPY f /';
    assert.deepEqual(lastOf(base, 'FROM base AS made\nRUN x', 'FROM base AS s\nCOPY --from=made /g /'), ['s/1', 's/2']);
    const mounted = 'FROM b AS made\nRUN --mount=type=bind,from=base,target=/t x';
    assert.deepEqual(lastOf(base, mounted, 'FROM base AS s\nCOPY --from=made /g /'), ['s/1', 's/2']);
  });
});
