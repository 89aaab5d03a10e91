/** How long something was not used, by days on which builds wrote something: neither a holiday nor a clock that jumps makes anything old. */

/** Milliseconds for which something that was used then, in milliseconds since the epoch, was not used. */
export type Age = (usedAt: number) => number;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Less than a day, or one build each night would miss every other day. */
const APART_MS = 20 * HOUR_MS;
/** More than the 60 days that anything stays for. */
const KEPT = 80;

/** As the clock has it: for ages that people ask about. */
export function ageByClock(now: number): Age {
  return (usedAt) => now - usedAt;
}

/** `days` with now as one of them, where it is another one. Those to come were noted by a clock that was ahead: they count for nothing. */
export function noteDay(days: readonly number[], now: number): readonly number[] {
  const past = days.filter((day) => day <= now);
  return now - (past.at(-1) ?? Number.NEGATIVE_INFINITY) < APART_MS ? past : [...past, now].slice(-KEPT);
}

/** From one of `days` to the next is a day at most, however long the clock says it is. */
export function ageByDays(days: readonly number[], now: number): Age {
  return (usedAt) => {
    const since = [...days.filter((day) => day > usedAt && day < now), now];
    return since.reduce((age, day, index) => age + Math.min(DAY_MS, Math.max(0, day - (since[index - 1] ?? usedAt))), 0);
  };
}
