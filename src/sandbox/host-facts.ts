/** The facts of this machine that a container's defaults depend on, found once. */
import { existsSync, lstatSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
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

function namespaceFacts(): Pick<HostFacts, 'userNamespace' | 'ids' | 'proc'> {
  const scope = idScope();
  if (scope !== 'machine') checkDevices();
  const proc = scope !== 'machine' && isProcHidden(readFileSync('/proc/self/mountinfo', 'latin1')) ? ({ proc: 'outer' } as const) : {};
  return { userNamespace: scope === 'machine' ? 'initial' : 'own', ids: scope === 'one' ? 'one' : 'all', ...proc };
}

/** Mounts on directories that are always empty hide nothing: mount_namespaces(7), fs/namespace.c `mnt_already_visible`. */
const HIDES_NOTHING = /^\/proc\/(?:sys\/fs\/binfmt_misc|fs\/nfsd)$/;

/** Whether something is mounted over parts of /proc, as container runtimes do: then nobody in a user namespace may mount a new one. */
export function isProcHidden(mountinfo: string): boolean {
  const points = mountinfo.split('\n').map((line) => line.split(' ')[4] ?? '');
  return points.some((point) => point.startsWith('/proc/') && !HIDES_NOTHING.test(point));
}

/** What everybody should know whose steps see the processes around tsbuild; undefined where they do not. */
export function outerProcWarning(): string | undefined {
  if (hostFacts().proc !== 'outer') return undefined;
  return (
    'Steps see the /proc of this container, and so its processes with their command lines, and run one at a time: parts of it are hidden, and the kernel then lets nobody mount another. ' +
    'A container started with --security-opt systempaths=unconfined (podman: --security-opt unmask=ALL) changes that'
  );
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
