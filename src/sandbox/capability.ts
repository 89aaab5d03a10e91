/** Capabilities by number: linux/capability.h. */
import { readFileSync } from 'node:fs';

const NAMES =
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'.split(
    ' ',
  );

/** More than any kernel has: dropping one that does not exist fails with EINVAL, which is fine. */
export const CAPABILITY_COUNT_MAX = 64;

/** `CAP_CHOWN` is 0. An unknown name is a bug of the caller. */
export function capabilityNumber(name: string): number {
  const number = NAMES.indexOf(name.replace(/^CAP_/, ''));
  if (number === -1 || !name.startsWith('CAP_')) throw new Error(`No such capability: ${name}`);
  return number;
}

/** `SYS_TIME`, `CAP_SYS_TIME`, or small letters of either; undefined where there is none. */
export function capabilityNamed(text: string): string | undefined {
  const name = text.toUpperCase().replace(/^CAP_/, '');
  return NAMES.includes(name) ? `CAP_${name}` : undefined;
}

export function capabilitySet(names: readonly string[]): bigint {
  return names.reduce((set, name) => set | (1n << BigInt(capabilityNumber(name))), 0n);
}

/** Those that have a name here; newer ones are left out. */
export function capabilityNames(set: bigint): string[] {
  return NAMES.filter((_, number) => ((set >> BigInt(number)) & 1n) === 1n).map((name) => `CAP_${name}`);
}

/** Those of the bounding set that this process holds: proc_pid_status(5). */
export function ownCapabilities(): string[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const field = (name: string): bigint => BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0'}`);
  return capabilityNames(field('CapBnd') & field('CapPrm'));
}
