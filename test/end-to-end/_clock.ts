/** Another clock than the machine's, for tsbuild and not for its steps: libfaketime's. */
import { existsSync } from 'node:fs';

/** Undefined where it is not installed. */
export const FAKETIME = ['x86_64-linux-gnu', 'aarch64-linux-gnu']
  .map((triple) => `/usr/lib/${triple}/faketime/libfaketimeMT.so.1`)
  .find((file) => existsSync(file));

/** Variables that set it: `@2038-01-19 03:14:08` goes on from there, `+1y` is so far ahead. Monotonic time is as on a machine whose clock is set. */
export function faked(clock: string): NodeJS.ProcessEnv {
  return { LD_PRELOAD: FAKETIME, FAKETIME: clock, FAKETIME_DONT_FAKE_MONOTONIC: '1', TZ: 'UTC' };
}
