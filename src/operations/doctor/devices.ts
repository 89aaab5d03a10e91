/** Devices that vendors describe for containers on this machine. */
import { deviceDirectories, type MachineDevices, readDevices } from '../../sandbox/devices/read-devices.ts';
import type { Finding } from './finding.ts';

const LISTED_MAX = 20;

export async function readDeviceFacts(): Promise<MachineDevices> {
  return await readDevices(deviceDirectories(process.env));
}

export function deviceFindings({ devices, faults }: MachineDevices): Finding[] {
  const names = [...devices.keys()];
  const more = names.length > LISTED_MAX ? `, and ${names.length - LISTED_MAX} more` : '';
  const found = names.length === 0 ? 'none described' : `${names.slice(0, LISTED_MAX).join(', ')}${more}`;
  const about = { group: 'surroundings', id: 'surroundings.devices', title: 'devices (CDI)' } as const;
  const [fault] = faults;
  if (fault === undefined) return [{ ...about, state: 'ok', found }];
  const means = `what other files describe is not there: ${fault.replaceAll('\n', ' ')}`;
  return [
    { ...about, state: 'limited', found, means, fix: 'Correct or remove the file; nvidia-ctk cdi generate and its kin write them anew.' },
  ];
}
