/** RUN --device while planning: which devices a step gets, and whether it may have them. */
import { TsbuildError } from '../../errors.ts';
import { type DeviceRequest, parseDevice } from '../../parser/device.ts';
import type { Dockerfile, RunInstruction } from '../../parser/instruction.ts';
import { locate } from '../../parser/location.ts';
import type { Device } from '../../sandbox/devices/device-specification.ts';
import { deviceNotFound, findDevices } from '../../sandbox/devices/find-devices.ts';
import { needSupportedDevice } from '../../sandbox/devices/grant-devices.ts';
import type { MachineDevices } from '../../sandbox/devices/read-devices.ts';
import type { DeviceGrants } from './device-grants.ts';

export interface StepDevices {
  /** Each once. */
  readonly devices: readonly Device[];
  /** Names that this machine does not know, and that the step can do without. */
  readonly missing: readonly string[];
}

/** Its vendor, or who set up the machine, lets every build have it. */
const AUTO_ALLOW = 'org.mobyproject.buildkit.device.autoallow';
const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);

export interface DevicePolicy {
  readonly machine: MachineDevices;
  readonly grants: DeviceGrants;
}

/** Throws, at the flag, NOT_ALLOWED, DEVICE_NOT_FOUND, UNSUPPORTED, DOCKERFILE_SYNTAX: so that no build fails half-way for it. And USAGE for a grant. */
export function stepDevices(dockerfile: Dockerfile, instruction: RunInstruction, policy: DevicePolicy): StepDevices {
  const granted = grantedNames(policy);
  try {
    const found = instruction.devices.map((text) => oneRequest(parseDevice(text), policy, granted));
    const devices = new Map(found.flatMap((each) => each.devices.map((device) => [device.name, device] as const)));
    for (const device of devices.values()) needSupportedDevice(device);
    return { devices: [...devices.values()], missing: found.flatMap(({ devices: own, name }) => (own.length === 0 ? [name] : [])) };
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    throw error.at(locate(dockerfile, instruction, { kind: 'flag', name: 'device' }));
  }
}

function grantedNames({ machine, grants }: DevicePolicy): Set<string> {
  return new Set(grants.names.flatMap((name) => findDevices(machine, name)).map(({ name }) => name));
}

function oneRequest(
  { name, required }: DeviceRequest,
  { machine, grants }: DevicePolicy,
  granted: ReadonlySet<string>,
): { readonly devices: readonly Device[]; readonly name: string } {
  const alias = grants.aliases.get(name);
  const devices = find(machine, alias ?? name);
  if (devices.length === 0 && required) throw deviceNotFound(machine, alias ?? name);
  const isAllowed = (device: Device) => grants.all || alias !== undefined || granted.has(device.name) || isAutoAllowed(device);
  const refused = devices.find((device) => !isAllowed(device));
  if (refused === undefined) return { devices, name };
  throw new TsbuildError('NOT_ALLOWED', `Cannot use RUN --device=${name.slice(0, 200)}: this build does not allow device ${refused.name}`, {
    hint: `If you trust this Dockerfile, build with --allow device=${refused.name}, or with --allow device for all of them.`,
  });
}

function find(machine: MachineDevices, name: string): Device[] {
  try {
    return findDevices(machine, name);
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    throw new TsbuildError('DOCKERFILE_SYNTAX', error.message, { hint: error.hint });
  }
}

function isAutoAllowed({ annotations }: Device): boolean {
  return TRUE.has(annotations.get(AUTO_ALLOW) ?? '');
}
