/** Sizes and times for people, and sizes of people. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Decimal units with three digits, as Docker prints them: `1.23kB`, `45.6MB`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)}${UNITS[unit]}`;
}

const SIZE = /^(\d{1,15}(?:\.\d{1,15})?) ?(?:b|([kmgtp])(?:i?b)?)?$/i;
const POWERS = 'bkmgtp';

/** `512`, `10m`, `1.5 GB`, `64KiB` in bytes: units are powers of 1024, as Docker reads them. undefined where it is no size. */
export function parseSize(text: string): number | undefined {
  const [, number, unit = 'b'] = SIZE.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * 1024 ** POWERS.indexOf(unit.toLowerCase()));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** `0.1s`, `12.3s`, `2m 05s`, `1h 02m`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m ${String(whole % 60).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m`;
}

/** How long ago, in the coarsest unit that says something: `5 minutes ago`. */
export function formatAge(milliseconds: number): string {
  const units: [name: string, ms: number][] = [
    ['year', 365 * 86_400_000],
    ['month', 30 * 86_400_000],
    ['week', 7 * 86_400_000],
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
  ];
  const found = units.find(([, ms]) => milliseconds >= ms);
  if (found === undefined) return 'just now';
  const count = Math.floor(milliseconds / found[1]);
  return `${count} ${found[0]}${count === 1 ? '' : 's'} ago`;
}
