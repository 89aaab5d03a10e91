/** `--isolation=chroot`: what a step gets where no namespace and no mount can be had, and what has to be said of it. */
import { readlinkSync } from 'node:fs';
import { type SyscallError, TsbuildError } from '../errors.ts';
import { ownCapabilities } from './capability.ts';
import { type ContainerLimits, DEFAULT_CAPABILITIES, sharedNamespace } from './container-defaults.ts';
import type { ContainerSpec } from './container-spec.ts';
import { hostFacts } from './host-facts.ts';

export const ISOLATIONS = ['default', 'chroot'] as const;
export type Isolation = (typeof ISOLATIONS)[number];

/**
 * A step has less than tsbuild: with CAP_SYS_CHROOT it could leave its root, nothing keeps a device node that it makes from being
 * opened, and who has fewer capabilities than another cannot trace it (ptrace(2)), so that tsbuild itself is out of its reach.
 */
const WITHHELD: ReadonlySet<string> = new Set(['CAP_SYS_CHROOT', 'CAP_MKNOD']);

/** To make files of any owner, to become any user with fewer capabilities in another root, and to end what that one leaves. */
const NEEDED = [
  ...['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_KILL', 'CAP_SETGID', 'CAP_SETUID', 'CAP_SETPCAP'],
  'CAP_SYS_CHROOT',
] as const;

/** What takes the place of sandboxLimits() (container-defaults.ts). A filter needs CAP_SYS_ADMIN, or setuid programs would be without effect. */
export function chrootLimits(): ContainerLimits & Pick<ContainerSpec, 'isolation'> {
  const own = new Set(ownCapabilities());
  return {
    isolation: 'chroot',
    capabilities: DEFAULT_CAPABILITIES.filter((name) => own.has(name) && !WITHHELD.has(name)),
    seccomp: own.has('CAP_SYS_ADMIN') ? 'default' : 'unconfined',
    ...{ devices: 'standard', maskedPaths: [], readonlyPaths: [] },
    ...sharedNamespace(hostFacts()),
  };
}

/** Throws PRIVILEGE where this process cannot give a step another root, UNSUPPORTED_KERNEL where it could not find what the step leaves. */
export function needChroot(): void {
  const own = new Set(process.geteuid?.() === 0 ? ownCapabilities() : []);
  const lacking = NEEDED.filter((name) => !own.has(name));
  if (lacking.length > 0) throw chrootRefused(lacking);
  if (ownNumber() !== String(process.pid)) {
    throw new TsbuildError(
      'UNSUPPORTED_KERNEL',
      'Cannot run a step in a chroot: /proc is missing, or it is that of another PID namespace',
      {
        hint: 'Mount a proc file system on /proc in this container; what a step leaves running is found there.',
      },
    );
  }
}

/** Throws UNSUPPORTED where a step is to have no network and this process cannot take it away. */
export function needNoNetwork(): void {
  if (ownCapabilities().includes('CAP_SYS_ADMIN')) return;
  throw new TsbuildError('UNSUPPORTED', 'Cannot run a step without a network in a chroot: this process may make no network namespace', {
    hint: 'Give the container --cap-add SYS_ADMIN --security-opt seccomp=unconfined, or give it no network itself, and use --network=default.',
  });
}

export function chrootRefused(lacking: readonly string[], cause?: SyscallError): TsbuildError {
  const message = `Cannot run a step in a chroot: this process is not root with ${lacking.join(', ')}, or a filter refuses chroot(2)`;
  const options = lacking.map((name) => `--cap-add ${name.slice('CAP_'.length)}`).join(' ');
  const hint =
    `Run tsbuild as root in the container (docker run --user 0) with ${options}; in Kubernetes, securityContext with runAsUser: 0 and ` +
    `capabilities.add: [${lacking.map((name) => name.slice('CAP_'.length)).join(', ')}].`;
  return new TsbuildError('PRIVILEGE', message, { hint, cause });
}

/** Said once of every build: what is not isolated, as far as this process can tell. */
export function chrootWarning(): string {
  const own = new Set(ownCapabilities());
  const open = [
    'processes of this container can be signalled, and those without more capabilities traced',
    'its network, abstract sockets, System V IPC and keyrings are shared',
    'there is no /proc and no /sys, and so no /dev/stdout and /dev/fd',
    ...(own.has('CAP_SYS_ADMIN') ? [] : ['no seccomp filter of tsbuild is loaded']),
    'kernel settings and the host name are those of this container',
    '/dev/shm and tmpfs mounts have no limit and lie on the disk',
    'mounts can be written to, which is forgotten',
    'device nodes of images can be opened where the container lets them',
    'secrets lie in the state directory while a step runs, and after a SIGKILL until the next command',
  ];
  return `Steps are NOT isolated (--isolation=chroot), they only have a root directory of their own, and run one at a time: ${open.join('; ')}. Build nothing that you do not trust with this container`;
}

function ownNumber(): string | undefined {
  try {
    return readlinkSync('/proc/self');
  } catch {
    return undefined;
  }
}
