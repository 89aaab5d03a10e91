/** Users of this machine by number: passwd(5). */
import { existsSync, readFileSync } from 'node:fs';

/** Undefined where /etc/passwd does not have the number, as for users of a directory service. */
export function userName(uid: number): string | undefined {
  if (!existsSync('/etc/passwd')) return undefined;
  for (const line of readFileSync('/etc/passwd', 'latin1').split('\n')) {
    const [name, , id] = line.split(':');
    if (name !== undefined && name !== '' && id === String(uid)) return name;
  }
  return undefined;
}
