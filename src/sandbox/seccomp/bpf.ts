/** Classic BPF as seccomp runs it: instructions as data, and their bytes (struct sock_filter, linux/filter.h; seccomp(2)). */

export interface BpfInstruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly k: number;
}

/** Offsets in struct seccomp_data; both architectures are little-endian, so that the low word of an argument comes first. */
export const DATA_NUMBER = 0;
export const DATA_ARCH = 4;
export const DATA_ARGUMENT_0_LOW = 16;
export const DATA_ARGUMENT_0_HIGH = 20;

/** What a filter returns; the low 16 bits of an errno action are the errno (linux/seccomp.h). */
export const SECCOMP_ALLOW = 0x7fff0000;
export const SECCOMP_KILL_PROCESS = 0x80000000;
export const SECCOMP_ERRNO = 0x00050000;

/** A = the 32-bit word at `offset` of struct seccomp_data. */
export function load(offset: number): BpfInstruction {
  return { code: 0x20, jumpTrue: 0, jumpFalse: 0, k: offset };
}

/** Skips `then` instructions if A = k, else `otherwise`; each at most 255. */
export function jumpIfEqual(k: number, then: number, otherwise: number): BpfInstruction {
  return { code: 0x15, jumpTrue: then, jumpFalse: otherwise, k };
}

/** Skips `then` instructions if A ≥ k (unsigned), else `otherwise`; each at most 255. */
export function jumpIfAtLeast(k: number, then: number, otherwise: number): BpfInstruction {
  return { code: 0x35, jumpTrue: then, jumpFalse: otherwise, k };
}

/** Skips `then` instructions if A & k is not 0, else `otherwise`; each at most 255. */
export function jumpIfAnySet(k: number, then: number, otherwise: number): BpfInstruction {
  return { code: 0x45, jumpTrue: then, jumpFalse: otherwise, k };
}

/** Skips `count` instructions, however many. */
export function skip(count: number): BpfInstruction {
  return { code: 0x05, jumpTrue: 0, jumpFalse: 0, k: count };
}

/** Ends the filter with an action. */
export function give(action: number): BpfInstruction {
  return { code: 0x06, jumpTrue: 0, jumpFalse: 0, k: action };
}

/** The array of struct sock_filter; the kernel takes at most 4,096 (BPF_MAXINSNS). */
export function assemble(program: readonly BpfInstruction[]): Buffer {
  if (program.length > 4096) {
    throw new Error(`A seccomp filter of ${program.length} instructions is too long`);
  }
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach((instruction, index) => {
    bytes.writeUInt16LE(instruction.code, index * 8);
    bytes.writeUInt8(instruction.jumpTrue, index * 8 + 2);
    bytes.writeUInt8(instruction.jumpFalse, index * 8 + 3);
    bytes.writeUInt32LE(instruction.k, index * 8 + 4);
  });
  return bytes;
}
