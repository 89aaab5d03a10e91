import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describePlan } from '../../../src/builder/plan/describe-plan.ts';
import { plan } from './_plan.ts';

test('describePlan() tells what each step stands on and reads', () => {
  const text = 'FROM a AS one\nRUN x\nFROM one\nCOPY --from=one /x /\nRUN --mount=type=bind,from=b:2,target=/b y\n';
  const { steps, baseStep, ids } = describePlan(plan(text), 'default');
  assert.deepEqual(
    steps.map(({ id, stage, inputs, lines }) => [id, stage, lines.start, ...inputs]),
    [
      ['step0', 'one', 1, 'pkg:docker/a@latest?platform=linux%2Famd64'],
      ['step1', 'one', 2, 'step0'],
      ['step2', 'stage-1', 3, 'step1'],
      ['step3', 'stage-1', 4, 'step2', 'step1'],
      ['step4', 'stage-1', 5, 'step3', 'pkg:docker/b@2?platform=linux%2Famd64'],
    ],
  );
  assert.equal(baseStep, 'step0');
  assert.equal(ids.get('stage-1/2'), 'step3');
});

test('describePlan() knows secrets and agents by their ids alone, and whether a command has a network', () => {
  const mounts = '--mount=type=secret,id=t,required --mount=type=secret,target=/run/k --mount=type=ssh --mount=type=secret,id=t';
  const { secrets, ssh, isOffline } = describePlan(plan(`FROM a\nRUN --network=none ${mounts} x\n`), 'default');
  assert.deepEqual(secrets, [
    { id: 'k', isOptional: true },
    { id: 't', isOptional: false },
  ]);
  assert.deepEqual(ssh, [{ id: 'default', isOptional: true }]);
  assert.equal(isOffline, true);
  assert.equal(describePlan(plan('FROM a\nRUN x\n'), 'default').isOffline, false);
  assert.equal(describePlan(plan('FROM a\nRUN x\n'), 'none').isOffline, true);
  assert.equal(describePlan(plan('FROM a\nCOPY x /\n'), 'default').isOffline, true);
});
