/** Which architectures this machine can run: its own, and those that the kernel hands to an emulator. Source: kernel's admin-guide/binfmt-misc.rst. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { formatPlatform, normalizePlatform, type Platform } from '../oci/platform.ts';

const BINFMT = '/proc/sys/fs/binfmt_misc';

/** What a CPU runs besides its own. */
const NATIVE: ReadonlyMap<string, readonly string[]> = new Map([
  ['amd64', ['386']],
  ['arm64', ['arm']],
]);

/** e_machine of ELF, with class and byte order, → Go's GOARCH. */
const MACHINES: ReadonlyMap<string, string> = new Map([
  ['2/1/3e00', 'amd64'],
  ['1/1/0300', '386'],
  ['2/1/b700', 'arm64'],
  ['1/1/2800', 'arm'],
  ['2/1/f300', 'riscv64'],
  ['2/1/1500', 'ppc64le'],
  ['2/2/0016', 's390x'],
  ['2/1/0201', 'loong64'],
  ['2/1/0800', 'mips64le'],
]);

/** Go's names. An emulator counts if it is enabled and opened when it was registered (flag F): a container has no file of the host. */
export function runnableArchitectures(machine: Platform, directory: string = BINFMT): readonly string[] {
  const { architecture } = normalizePlatform(machine);
  const emulated = emulatorsIn(directory).flatMap((handler) => (handler.problem === undefined ? handler.architecture : []));
  return [...new Set([architecture, ...(NATIVE.get(architecture) ?? []), ...emulated])];
}

/** Throws PLATFORM_NOT_FOUND for another operating system; EMULATOR_MISSING, with what was found, where `platform` cannot run on this machine. */
export function needRunnable(platform: Platform, machine: Platform, directory: string = BINFMT): void {
  if (platform.os !== machine.os) {
    throw new TsbuildError(
      'PLATFORM_NOT_FOUND',
      `Cannot run programs for ${formatPlatform(platform)} on ${formatPlatform(machine)}: another system`,
    );
  }
  if (runnableArchitectures(machine, directory).includes(normalizePlatform(platform).architecture)) return;
  const handler = emulatorsIn(directory).find(({ architecture }) => architecture === platform.architecture);
  const found = handler?.problem ?? 'the kernel knows no emulator for it';
  throw new TsbuildError(
    'EMULATOR_MISSING',
    `Cannot run programs for ${formatPlatform(platform)} on ${formatPlatform(machine)}: ${found}`,
    {
      hint: 'Register QEMU with the kernel: apt-get install qemu-user-static binfmt-support, or docker run --privileged --rm tonistiigi/binfmt --install all.',
    },
  );
}

/** A handler of the kernel for another architecture's programs. */
export interface Emulator {
  readonly architecture: string;
  /** Why it does not help in a container. */
  readonly problem: string | undefined;
}

export function emulatorsIn(directory: string): Emulator[] {
  return namesIn(directory).flatMap((name) => readHandler(name, join(directory, name)) ?? []);
}

/** Without binfmt_misc, or where it is not mounted, there are none. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => name !== 'register' && name !== 'status');
  } catch {
    return [];
  }
}

function readHandler(name: string, file: string): Emulator | undefined {
  const text = readFileSync(file, 'utf8');
  const magic = /^magic ([0-9a-f]{40,})$/m.exec(text)?.[1];
  const offset = /^offset (\d+)$/m.exec(text)?.[1] ?? '0';
  if (magic === undefined || offset !== '0' || !magic.startsWith('7f454c46')) return undefined;
  const architecture = MACHINES.get(`${Number(magic.slice(8, 10))}/${Number(magic.slice(10, 12))}/${magic.slice(36, 40)}`);
  if (architecture === undefined) return undefined;
  const flags = /^flags: *([A-Z]*)$/m.exec(text)?.[1] ?? '';
  if (!text.startsWith('enabled')) return { architecture, problem: `the emulator ${name} is disabled` };
  return { architecture, problem: flags.includes('F') ? undefined : `the emulator ${name} is registered without the flag F` };
}
