/** How many scenarios of each table of faults a test file goes through: it says so, and fails where there are fewer than there were. */
import assert from 'node:assert/strict';
import { after } from 'node:test';

/** What the tables had when they were written. */
export const SCENARIOS_LEAST: Readonly<Record<string, number>> = {
  'X20 endpoints': 324,
  'X20 token server': 36,
  'X21 token bucket': 2,
  'X22 up, resumed': 160,
  'X22 up, begun again': 160,
  'X22 down': 160,
  'X23 wrong bodies': 61,
  'X24 slow and broken servers': 50,
  'X24 lost packets': 11,
  'X25 token expiry': 43,
  'X26 redirects': 13,
  'X27 odd answers': 41,
  'X28 habits': 13,
  'X28 servers': 4,
  'X29 others': 7,
  'H9 tags that move': 2,
  'H11 digest headers': 6,
};

const counts = new Map<string, number>();

export function countScenarios(table: string, count: number): void {
  counts.set(table, (counts.get(table) ?? 0) + count);
}

after(() => {
  const isPart = process.execArgv.some((argument) => argument.startsWith('--test-name-pattern'));
  for (const [table, count] of counts) {
    console.log(`${table}: ${count} scenarios`);
    assert.ok(isPart || count >= (SCENARIOS_LEAST[table] ?? Number.POSITIVE_INFINITY), `${table} has lost scenarios: ${count}`);
  }
});
