/** The ABIs that a process can make system calls with, and their numbers. */
import { AARCH64_SYSCALLS } from './aarch64-table.ts';
import { ARM_SYSCALLS } from './arm-table.ts';
import { I386_SYSCALLS } from './i386-table.ts';
import { X32_SYSCALLS } from './x32-table.ts';
import { X86_64_SYSCALLS } from './x86-64-table.ts';

export type Abi = 'x86-64' | 'x32' | 'i386' | 'aarch64' | 'arm';

/** Every number of x32 has this bit (asm/unistd.h); it shares the audit value of x86-64. */
export const X32_BIT = 0x40000000;

/** From here on the private calls of arm, far above its common ones (asm/unistd.h `__ARM_NR_BASE`). */
export const ARM_PRIVATE_BASE = 0xf0000;

const TABLES: Readonly<Record<Abi, string>> = {
  'x86-64': X86_64_SYSCALLS,
  x32: X32_SYSCALLS,
  i386: I386_SYSCALLS,
  aarch64: AARCH64_SYSCALLS,
  arm: ARM_SYSCALLS,
};

/** Name → the number that the kernel sees, such as `read` → 0 on x86-64 and 0x40000000 on x32. */
export function syscallNumbers(abi: Abi): ReadonlyMap<string, number> {
  const base = abi === 'x32' ? X32_BIT : 0;
  const numbers = new Map<string, number>();
  for (const line of TABLES[abi].trim().split('\n')) {
    const [first, ...names] = line.split(' ');
    names.forEach((aliases, index) => {
      for (const name of aliases.split('=')) {
        numbers.set(name, base + Number(first) + index);
      }
    });
  }
  return numbers;
}
