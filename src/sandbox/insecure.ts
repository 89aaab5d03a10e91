/** `RUN --security=insecure`: as much as this process may do itself, for a step that the caller of the build trusts. */
import { lstatSync, readdirSync } from 'node:fs';
import { splitDevice } from '../sys/device-number.ts';
import { ownCapabilities } from './capability.ts';
import { type ContainerLimits, defaultMounts, type HostFacts, sharedNamespace } from './container-defaults.ts';
import type { DeviceNode, MountSpec } from './container-spec.ts';

/** As BuildKit has them, where the machine does. */
const DEVICES = ['kmsg', 'cuse', 'fuse', 'kvm', 'net/tun', 'loop-control'];

export function insecureLimits(facts: HostFacts): ContainerLimits {
  const open = { seccomp: 'unconfined', devices: 'any', maskedPaths: [], readonlyPaths: [] } as const;
  return { capabilities: ownCapabilities(), ...open, ...sharedNamespace(facts) };
}

/** /sys and control groups can be written, and there are more devices. */
export function insecureMounts(facts: HostFacts, options: { shmBytes?: number } = {}): MountSpec[] {
  return defaultMounts(facts, options).map((mount) => {
    if (mount.kind === 'sysfs' || mount.kind === 'cgroup2') return { ...mount, access: 'read-write' };
    return mount.kind === 'dev' && facts.userNamespace === 'initial' ? { ...mount, more: devices() } : mount;
  });
}

function devices(): DeviceNode[] {
  const loops = readdirSync('/dev').filter((name) => /^loop\d{1,3}$/.test(name));
  return [...DEVICES, ...loops].flatMap((name) => {
    const stat = lstatSync(`/dev/${name}`, { throwIfNoEntry: false });
    if (stat === undefined || !(stat.isCharacterDevice() || stat.isBlockDevice())) return [];
    return [{ name, type: stat.isBlockDevice() ? 'block' : 'char', ...splitDevice(stat.rdev) }];
  });
}
