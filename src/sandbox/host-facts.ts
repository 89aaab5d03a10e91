/** The facts of this machine that a container's defaults depend on, found once. */
import { existsSync, readdirSync, statfsSync } from 'node:fs';
import { idScope } from '../sys/ids.ts';
import type { HostFacts } from './container-defaults.ts';

const CGROUP2_SUPER_MAGIC = 0x63677270; // linux/magic.h
const CPUS = '/sys/devices/system/cpu';

let facts: HostFacts | undefined;

export function hostFacts(): HostFacts {
  facts ??= { cgroup2: isCgroup2('/sys/fs/cgroup'), throttledCpus: throttledCpus(), ...namespaceFacts() };
  return facts;
}

function namespaceFacts(): Pick<HostFacts, 'userNamespace' | 'ids'> {
  const scope = idScope();
  return { userNamespace: scope === 'machine' ? 'initial' : 'own', ids: scope === 'one' ? 'one' : 'all' };
}

function isCgroup2(path: string): boolean {
  return existsSync(path) && statfsSync(path).type === CGROUP2_SUPER_MAGIC;
}

function throttledCpus(): string[] {
  if (!existsSync(CPUS)) return [];
  return readdirSync(CPUS).filter((name) => /^cpu\d+$/.test(name) && existsSync(`${CPUS}/${name}/thermal_throttle`));
}
