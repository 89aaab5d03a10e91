/**
 * A runtime such as runc, started so that nothing of it outlives tsbuild: it is the command of a container of ours that shows
 * the machine as it is, but for the processes. What the runtime makes of its bundle is inside that, and ends with it.
 */
import { accessSync, constants } from 'node:fs';
import { basename, delimiter, isAbsolute, join, resolve } from 'node:path';
import { TsbuildError } from '../../errors.ts';
import { type CgroupLimits, isLimited } from '../cgroup/cgroup-limits.ts';
import type { ContainerSpec, MountSpec } from '../container-spec.ts';
import { hostFacts } from '../host-facts.ts';
import { insecureLimits } from '../insecure.ts';

export interface RuntimeLaunch {
  /** Absolute path of the program. */
  readonly program: string;
  readonly bundle: string;
  /** An empty directory for what the runtime notes. */
  readonly state: string;
  /** An empty directory; what is mounted on it is seen by the runtime only. */
  readonly scratch: string;
  /** Unique on this machine. */
  readonly id: string;
  /** `disabled`: no control group at all, for a runtime that cannot use those of this machine. */
  readonly cgroups: 'used' | 'disabled';
}

const SHM_BYTES = 1 << 20;

/** A path, or a name to look for along PATH. Throws USAGE. */
export function findRuntime(name: string, path = process.env['PATH'] ?? ''): string {
  const places = name.includes('/') ? [resolve(name)] : path.split(delimiter).map((directory) => join(directory, name));
  const found = places.find((place) => isAbsolute(place) && isExecutable(place));
  if (found !== undefined) return found;
  throw new TsbuildError('USAGE', `Cannot run with the runtime ${JSON.stringify(name)}: no such program in PATH`, {
    hint: 'Install it (runc and crun are packages), give its path, or leave --runtime out: tsbuild needs none.',
  });
}

/** crun refuses machines that have both versions of control groups; without limits it needs none. */
export function cgroupsFor(program: string, limits: CgroupLimits = {}): RuntimeLaunch['cgroups'] {
  return basename(program).startsWith('crun') && !hostFacts().cgroup2 && !isLimited(limits) ? 'disabled' : 'used';
}

/** The container around the runtime; `spec` is the one that the runtime is to make. */
export function runtimeContainer(spec: ContainerSpec, launch: RuntimeLaunch): ContainerSpec {
  const { program, bundle, state, id, cgroups, scratch } = launch;
  const manager = cgroups === 'disabled' ? ['--cgroup-manager=disabled'] : [];
  const { terminal } = spec.process;
  const { PATH = '' } = process.env;
  return {
    rootfs: { machine: 'whole', scratch },
    mounts: [
      ...[{ kind: 'proc', target: '/proc' } as const, { kind: 'dev', target: '/dev', shmBytes: SHM_BYTES } as const],
      // It looks at them even where it is told to leave them alone.
      ...(cgroups === 'disabled' ? [{ kind: 'cgroup2', target: '/sys/fs/cgroup' } as const] : []),
      ...resolver(spec, bundle),
    ],
    process: {
      ...{ argv: [program, '--root', state, ...manager, 'run', '--bundle', bundle, id], env: [`PATH=${PATH}`, 'HOME=/'] },
      ...{ cwd: '/', uid: 0, gid: 0, groups: [0], umask: 0o022 },
      ...(terminal === undefined ? {} : { terminal }),
    },
    hostname: spec.hostname,
    ...insecureLimits(hostFacts()),
    devices: 'standard',
    network: spec.network,
  };
}

/** What the step's network has for /etc/resolv.conf is known only when it is taken: it lies on the bundle's file of it. */
function resolver({ mounts }: ContainerSpec, bundle: string): MountSpec[] {
  return mounts.flatMap(({ kind }, index) => (kind === 'resolver' ? [{ kind, target: `${bundle}/files/${index}` } as const] : []));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
