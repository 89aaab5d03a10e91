/** Capabilities by number: linux/capability.h. */
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
