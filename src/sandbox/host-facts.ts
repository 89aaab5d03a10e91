/** The facts of this machine that a container's defaults depend on, found once. */
import { existsSync, lstatSync, readdirSync, statfsSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';
import { idScope } from '../sys/ids.ts';
import type { HostFacts } from './container-defaults.ts';
import { DEVICES } from './root-operations.ts';

const CGROUP2_SUPER_MAGIC = 0x63677270; // linux/magic.h
const CPUS = '/sys/devices/system/cpu';

let facts: HostFacts | undefined;

export function hostFacts(): HostFacts {
  facts ??= { cgroup2: isCgroup2('/sys/fs/cgroup'), throttledCpus: throttledCpus(), ...namespaceFacts() };
  return facts;
}

function namespaceFacts(): Pick<HostFacts, 'userNamespace' | 'ids'> {
  const scope = idScope();
  if (scope !== 'machine') checkDevices();
  return { userNamespace: scope === 'machine' ? 'initial' : 'own', ids: scope === 'one' ? 'one' : 'all' };
}

/** Steps get these nodes themselves where none can be made, so they have to be what they are called. */
function checkDevices(): void {
  for (const [name, device] of DEVICES) {
    const stat = lstatSync(`/dev/${name}`, { throwIfNoEntry: false });
    if (stat?.isCharacterDevice() === true && stat.rdev === device) continue;
    throw new TsbuildError('UNSUPPORTED_KERNEL', `Cannot give steps the device /dev/${name}: this machine has something else there`);
  }
}

function isCgroup2(path: string): boolean {
  return existsSync(path) && statfsSync(path).type === CGROUP2_SUPER_MAGIC;
}

function throttledCpus(): string[] {
  if (!existsSync(CPUS)) return [];
  return readdirSync(CPUS).filter((name) => /^cpu\d+$/.test(name) && existsSync(`${CPUS}/${name}/thermal_throttle`));
}
