import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SCENARIOS_LEAST } from './_scenarios.ts';

test('the tables of faults of transfers have at least 600 scenarios, each counted where it runs', () => {
  const sum = Object.values(SCENARIOS_LEAST).reduce((total, count) => total + count, 0);
  console.log(`${sum} scenarios in ${Object.keys(SCENARIOS_LEAST).length} tables`);
  assert.ok(sum >= 600, `${sum}`);
});
