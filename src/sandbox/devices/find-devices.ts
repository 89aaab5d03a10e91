/** A name as RUN --device has it → the devices that it means. Source: BuildKit docs/cdi.md, Docker manual "Container Device Interface". */
import { TsbuildError } from '../../errors.ts';
import { type Device, isKind } from './device-specification.ts';
import type { MachineDevices } from './read-devices.ts';

const CLASS = 'org.mobyproject.buildkit.device.class';

/**
 * `vendor/class=name` is that device, or those whose annotation calls them so; `vendor/class=*` are all of them; `vendor/class`
 * alone is the first. None is an empty list. Throws USAGE for what is no such name.
 */
export function findDevices({ devices }: MachineDevices, wanted: string): Device[] {
  const [kind = '', ...rest] = wanted.split('=');
  const name = rest.join('=');
  if (!isKind(kind)) {
    throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(wanted.slice(0, 200))} as a device: not vendor/class=name`, {
      hint: 'Such as vendor.com/class=name, vendor.com/class=* or vendor.com/class; `tsbuild doctor` lists those of this machine.',
    });
  }
  const ofKind = [...devices.values()].filter((device) => device.name.startsWith(`${kind}=`));
  if (name === '') return ofKind.slice(0, 1);
  if (name === '*') return ofKind;
  const exact = devices.get(wanted);
  return exact === undefined ? ofKind.filter(({ annotations }) => annotations.get(CLASS) === name) : [exact];
}

/** Why there is none, with what may be to blame. */
export function deviceNotFound({ devices, faults }: MachineDevices, wanted: string): TsbuildError {
  const known = [...devices.keys()];
  const list = known.length === 0 ? 'this machine describes no devices' : `this machine has ${known.slice(0, 10).join(', ')}`;
  return new TsbuildError('DEVICE_NOT_FOUND', `Cannot give a container the device ${JSON.stringify(wanted.slice(0, 200))}: ${list}`, {
    hint: faults[0] ?? 'Devices are described by *.json and *.yaml files in /etc/cdi and /var/run/cdi (or TSBUILD_CDI_DIRS).',
  });
}
