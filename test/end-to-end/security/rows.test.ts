/** Every row of the attacks that this suite answers has a test whose title begins with its name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { filesBelow } from '../../_sources.ts';

/** How many rows each group of attacks has, and the faults of processes, which have gaps. */
const GROUPS = { A: 16, B: 12, C: 9, E: 12, F: 10, G: 12, H: 13, L: 9, M: 6, N: 14 } as const;
/** J5 is of exported caches, J8 of what others wrote into their images. */
const LEAKS = ['J1', 'J2', 'J3', 'J4', 'J6', 'J7'];
const FAULTS = ['X2', 'X3', 'X9', 'X10', 'X11', 'X12'];
/** Of the cache and the store. */
const STORE = ['K1', 'K2', 'K3', 'K4', 'K5', 'X1', 'X4', 'X5', 'X6', 'X7', 'X8', 'X14', 'X15', 'X16', 'X17', 'X18', 'X19'].concat([
  'X30',
  'X31',
  'X32',
  'X33',
  'X34',
  'X35',
  'X36',
]);
const TITLE = /\b(?:test|it|describe)\(\s*['"`]((?:[A-Z]\d+ )+)/g;

test('every row of the groups A, B, C, E to H, L, M, N, of leaks, of the faults of processes and of the store has a test of its name', () => {
  const titles = filesBelow('test')
    .filter((file) => file.endsWith('.test.ts'))
    .flatMap((file) => [...readFileSync(file, 'utf8').matchAll(TITLE)].flatMap(([, names = '']) => names.trim().split(' ')));
  const named = new Set(titles);
  const rows = Object.entries(GROUPS).flatMap(([group, count]) => Array.from({ length: count }, (_, index) => `${group}${index + 1}`));
  assert.ok(titles.length > 80, 'the titles were read at all');
  assert.deepEqual(
    [...rows, ...LEAKS, ...FAULTS, ...STORE].filter((row) => !named.has(row)),
    [],
  );
  const groups = new Set(Object.keys(GROUPS));
  assert.deepEqual(
    [...named].filter((name) => groups.has(name.charAt(0)) && !rows.includes(name)),
    [],
  );
});
