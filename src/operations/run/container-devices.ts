/** Devices that the caller of `run` asks for: who writes the command line may give what the machine lets them open. */
import { statSync } from 'node:fs';
import { TsbuildError } from '../../errors.ts';
import type { MountSpec } from '../../sandbox/container-spec.ts';
import { deviceNotFound, findDevices } from '../../sandbox/devices/find-devices.ts';
import { type DeviceGrant, grantDevices, nodeMount } from '../../sandbox/devices/grant-devices.ts';
import { deviceDirectories, readDevices } from '../../sandbox/devices/read-devices.ts';
import { hostFacts } from '../../sandbox/host-facts.ts';
import { cleanTarget } from './container-mounts.ts';
import type { ContainerDevice } from './run-options.ts';

const NOT_SAID = { type: undefined, number: undefined, mode: undefined, uid: undefined, gid: undefined };

/** Throws USAGE, MOUNT_INVALID, DEVICE_NOT_FOUND, DEVICE_INVALID, UNSUPPORTED. */
export async function containerDevices(wanted: readonly ContainerDevice[]): Promise<DeviceGrant> {
  const nodes = wanted.flatMap((each) => ('path' in each ? [nodeOf(each)] : []));
  const names = wanted.flatMap((each) => ('name' in each ? [each.name] : []));
  const named = await grantNamed(names);
  return { ...named, mounts: [...new Map([...named.mounts, ...nodes].map((spec) => [spec.target, spec])).values()] };
}

async function grantNamed(names: readonly string[]): Promise<DeviceGrant> {
  if (names.length === 0) return { mounts: [], env: new Map(), groups: [] };
  const machine = await readDevices(deviceDirectories(process.env));
  const devices = names.flatMap((name) => {
    const found = findDevices(machine, name);
    if (found.length === 0) throw deviceNotFound(machine, name);
    return found;
  });
  return grantDevices(devices, hostFacts());
}

function nodeOf({ path, target }: Extract<ContainerDevice, { path: string }>): MountSpec {
  if (!path.startsWith('/') || path.includes('\0')) {
    throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(path.slice(0, 200))} as a device: no absolute path and no name`);
  }
  const spec = nodeMount(path, { path: cleanTarget(target ?? path), hostPath: path, ...NOT_SAID }, hostFacts());
  // As docker does: the node is the machine's in everything.
  const { mode, uid, gid } = statSync(path);
  return { ...spec, mode: mode & 0o777, uid, gid };
}
