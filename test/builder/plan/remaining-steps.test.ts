import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { remainingSteps } from '../../../src/builder/plan/remaining-steps.ts';
import { plan } from './_plan.ts';

const remainingOf = (text: string) => Object.fromEntries(remainingSteps(plan(text)));

describe('remainingSteps()', () => {
  test('counts a RUN as ten other steps that make files, and what makes none not at all', () => {
    const counts = remainingOf('FROM a AS s\nENV A=1\nRUN x\nWORKDIR /w\nCOPY f /\nLABEL b=c\n');
    assert.deepEqual(counts, { 's/1': 12, 's/2': 12, 's/3': 12, 's/4': 2, 's/5': 1, 's/6': 0 });
  });

  test('goes on through stages that stand on it, copy from it or mount it, the longest way', () => {
    const counts = remainingOf(
      [
        'FROM a AS base\nRUN 1',
        'FROM base AS short\nCOPY f /',
        'FROM base AS long\nRUN 2\nRUN 3',
        'FROM b AS tool\nRUN 4',
        'FROM c AS end\nCOPY --from=short /f /\nRUN --mount=type=bind,from=tool,target=/t 5\nCOPY --from=long /f /',
      ].join('\n'),
    );
    assert.equal(counts['end/2'], 12);
    assert.equal(counts['tool/2'], 10 + 11, 'to the RUN that mounts it');
    assert.equal(counts['short/2'], 1 + 12);
    assert.equal(counts['long/2'], 20 + 1, 'to the last COPY only');
    assert.equal(counts['base/2'], 10 + 21);
  });

  test('takes a chain of many stages', () => {
    const stages = Array.from({ length: 3000 }, (_, index) => `FROM ${index === 0 ? 'a' : `s${index - 1}`} AS s${index}\nRUN x`);
    assert.equal(remainingOf(stages.join('\n'))['s0/2'], 30_000);
  });
});
