import assert from 'node:assert/strict';
import { test } from 'node:test';
import { targetStages } from '../../../src/builder/plan/target-stages.ts';
import { plan } from './_plan.ts';

test('targetStages() are the target and what it stands on, not what it copies from', () => {
  const lines = [
    'FROM scratch AS base',
    'COPY a /a',
    'FROM scratch AS tools',
    'COPY b /b',
    'FROM base AS mid',
    'COPY --from=tools /b /b',
    'FROM mid',
    'COPY c /c',
  ];
  const names = [...targetStages(plan(lines.join('\n')))].map(({ name }) => name);
  assert.deepEqual(names, ['stage-3', 'mid', 'base']);
});
