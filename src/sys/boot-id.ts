import { readFileSync } from 'node:fs';

/** The machine's boot, by its random ID (random(4)). */
export function currentBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
