/** Our machine code in memory that the kernel lets be executed, each piece mapped once. */

import { SyscallError } from '../errors.ts';
import { Memory } from './memory.ts';
import { MACHINE_CODE } from './native/machine-code.ts';
import type { Architecture } from './syscall-program-numbers.ts';

type FlatCode = 'launch' | 'sum';

const mapped = new Map<FlatCode, Memory>();

/** Address of the entry. Throws a SyscallError where memory may not become executable. */
export function codeAddress(name: FlatCode): bigint {
  const known = mapped.get(name);
  if (known !== undefined) return known.address;
  const bytes = Buffer.from(MACHINE_CODE[process.arch as Architecture][name], 'base64');
  const memory = new Memory(bytes.length);
  memory.write(0, bytes);
  try {
    memory.makeExecutable();
  } catch (error) {
    memory[Symbol.dispose]();
    throw error;
  }
  mapped.set(name, memory);
  return memory.address;
}

/** Whether machine code can run here: our architecture, and a kernel that lets memory become executable. */
export function canExecute(name: FlatCode): boolean {
  if (!(process.arch in MACHINE_CODE)) return false;
  try {
    codeAddress(name);
    return true;
  } catch (error) {
    if (error instanceof SyscallError && (error.errno === 'EACCES' || error.errno === 'EPERM')) return false;
    throw error;
  }
}
