/** The devices that this machine describes by files of the Container Device Interface: *.json and *.yaml in a few directories. */
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { extname, join } from 'node:path';
import { TsbuildError } from '../../errors.ts';
import { parseStrictJson } from '../../oci/strict-json.ts';
import { type Device, devicesOf } from './device-specification.ts';

export interface MachineDevices {
  /** By `vendor/class=name`, in the order of names. */
  readonly devices: ReadonlyMap<string, Device>;
  /** What could not be used, a sentence each: as long as nobody asks for a device it harms nobody. */
  readonly faults: readonly string[];
}

/** CDI SPEC.md; what is read later counts more. */
const DIRECTORIES = ['/etc/cdi', '/var/run/cdi'];
const FILE_BYTES_MAX = 4 << 20;
const FILES_MAX = 1000;
const OPEN = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** `TSBUILD_CDI_DIRS` names others, apart by colons. */
export function deviceDirectories({ TSBUILD_CDI_DIRS: given }: Readonly<Record<string, string | undefined>>): readonly string[] {
  return given === undefined ? DIRECTORIES : given.split(':').filter((path) => path.startsWith('/'));
}

/** Never rejects for what is in the files. */
export async function readDevices(directories: readonly string[]): Promise<MachineDevices> {
  const all = new Map<string, Device>();
  const faults: string[] = [];
  for (const directory of directories) {
    const own = new Map<string, Device[]>();
    for (const file of filesIn(directory, faults)) {
      for (const device of await devicesIn(file, faults)) own.set(device.name, [...(own.get(device.name) ?? []), device]);
    }
    for (const [name, found] of own) {
      const [device, other] = found;
      // Which of the two is meant nobody knows: then neither is there.
      if (other !== undefined) faults.push(`Cannot use the device ${name}: ${device?.file} and ${other.file} describe it`);
      if (other !== undefined) all.delete(name);
      else if (device !== undefined) all.set(name, device);
    }
  }
  return { devices: new Map([...all].toSorted(([a], [b]) => (a < b ? -1 : 1))), faults };
}

function filesIn(directory: string, faults: string[]): string[] {
  try {
    const names = readdirSync(directory).filter((name) => ['.json', '.yaml'].includes(extname(name)));
    if (names.length > FILES_MAX) faults.push(`Cannot read more than ${FILES_MAX} files of ${directory}`);
    return names
      .sort()
      .slice(0, FILES_MAX)
      .map((name) => join(directory, name));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') faults.push(`Cannot read the directory ${directory}: ${code}`);
    return [];
  }
}

async function devicesIn(file: string, faults: string[]): Promise<Device[]> {
  try {
    const bytes = readBounded(file);
    const subject = `the device specification ${file}`;
    const isJson = extname(file) === '.json';
    const value = isJson ? parseStrictJson(bytes, subject) : await (await import('./yaml-document.ts')).parseYaml(bytes, subject);
    return devicesOf(value, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof TsbuildError) faults.push(error.message);
    else if (code !== undefined && code !== 'ENOENT') faults.push(`Cannot read the device specification ${file}: ${code}`);
    else if (code === undefined) throw error;
    return [];
  }
}

/** A FIFO is not waited for, and what is no regular file is not read. */
function readBounded(file: string): Buffer {
  const fd = openSync(file, OPEN);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw refused(file, 'not a regular file');
    if (stat.size > FILE_BYTES_MAX) throw refused(file, `${stat.size} bytes, at most ${FILE_BYTES_MAX} are read`);
    const bytes = Buffer.alloc(stat.size);
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(fd);
  }
}

function refused(file: string, reason: string): TsbuildError {
  return new TsbuildError('IMAGE_INVALID', `Cannot read the device specification ${file}: ${reason}`);
}
