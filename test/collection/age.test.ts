import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ageByDays, noteDay } from '../../src/collection/age.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = 20_000 * DAY;

/** Builds at these times, one after the other, and how old something is then that was used at `usedAt`. */
function daysOld(builds: readonly number[], usedAt: number): number {
  const days = builds.reduce<readonly number[]>(noteDay, []);
  return ageByDays(days, builds.at(-1) ?? 0)(usedAt) / DAY;
}

const daily = (count: number, from = NOW): number[] => Array.from({ length: count }, (_, day) => from + day * DAY);

test('ageByDays() is the age by the clock where somebody builds each day, a little sooner or later', () => {
  assert.equal(daysOld(daily(61), NOW), 60);
  assert.equal(daysOld(daily(61), NOW + 58 * DAY), 2);
  const nightly = daily(61).map((time, night) => time + (night % 2) * HOUR);
  assert.ok(daysOld(nightly, NOW) > 58);
  const hourly = Array.from({ length: 61 * 24 + 1 }, (_, hour) => NOW + hour * HOUR);
  assert.equal(daysOld(hourly, NOW), 61);
});

test('X17 ageByDays() takes a holiday, and a clock that jumped ahead, for a day', () => {
  assert.equal(daysOld([NOW, NOW + 365 * DAY], NOW), 1);
  assert.equal(daysOld([...daily(10), NOW + 9000 * DAY], NOW), 10);
  assert.equal(daysOld([...daily(10), ...daily(10, NOW + 9000 * DAY)], NOW), 19);
  assert.equal(daysOld([NOW + 365 * DAY], NOW), 1, 'and so where nothing is known of days before');
});

test('X17 ageByDays() makes nothing old that a wrong clock used, and forgets days that are still to come', () => {
  assert.equal(daysOld([NOW, NOW + 365 * DAY, NOW + DAY], NOW + 365 * DAY), 0);
  const forth = Array.from({ length: 50 }, (_, turn) => [NOW + 365 * DAY + turn * DAY, NOW + turn * HOUR]).flat();
  assert.ok(daysOld([NOW, ...forth], NOW) < 4, 'a clock that goes back and forth fifty times in two days');
  assert.equal(daysOld([...daily(10), 0], NOW), 0);
  assert.equal(daysOld([...daily(10), 0, NOW + 10 * DAY], 0), 1);
});

test('noteDay() keeps as many days as anything stays for, and no more', () => {
  const days = daily(1000).reduce<readonly number[]>(noteDay, []);
  assert.ok(days.length > 72 && days.length <= 100, String(days.length));
  assert.ok(ageByDays(days, days.at(-1) ?? 0)(0) > 60 * DAY);
});
