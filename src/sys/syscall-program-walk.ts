/**
 * The second interpreter of syscall programs: this very thread makes the calls through libc's syscall(2), then becomes
 * another program. Only for a process that exists for that.
 */

import { invoke } from './errno.ts';
import { bind } from './libc.ts';
import { Memory } from './memory.ts';
import { encodeProgram, type Operation } from './syscall-program.ts';
import type { Architecture } from './syscall-program-numbers.ts';

const OPERATION_BYTES = 96;
const CHECK_RESULT = 1;
const ECANCELED = 125;
const EPROTO = 71;

/** The operation that failed, as launch.c reports it. */
export interface FailedOperation {
  readonly index: number;
  readonly errno: number;
}

const syscall = bind('long syscall(long number, long a, long b, long c, long d, long e, long f)');

/** Walks `program`; returns only if an operation failed, or if the program has no exec at its end. */
export function walkProgram(program: readonly Operation[], inputs: ReadonlyMap<string, number>): FailedOperation | undefined {
  const architecture = process.arch as Architecture;
  const draft = encodeProgram(program, { address: 0n, architecture, inputs });
  const memory = new Memory(draft.operations.length + draft.data.length);
  const { operations, data } = encodeProgram(program, { address: memory.address, architecture, inputs });
  memory.write(operations.length, data);
  const results: number[] = [];
  for (let index = 0; index < program.length; index++) {
    const operation = operations.subarray(index * OPERATION_BYTES, (index + 1) * OPERATION_BYTES);
    const errno = step(operation, results, memory);
    if (errno !== 0) return { index, errno };
  }
  return undefined;
}

/** One operation; its result goes to `results`. Returns an errno that nobody expected, or 0. */
function step(operation: Buffer, results: number[], memory: Memory): number {
  const values = [0, 1, 2, 3, 4, 5].map((index) => operation.readBigInt64LE(8 + index * 8));
  const fromResult = operation.readUInt32LE(56);
  const taken = values.map((value, index) => ((fromResult >> index) & 1 ? BigInt(results[Number(value)] ?? -1) : value));
  if (taken.some((value, index) => (fromResult >> index) & 1 && value < 0n)) {
    results.push(-ECANCELED);
    return 0;
  }
  const result = invoke(syscall, operation.readBigInt64LE(0), ...taken);
  results.push(result);
  if (result < 0) return [72, 76, 80, 84].some((offset) => operation.readInt32LE(offset) === -result) ? 0 : -result;
  const check = operation.readUInt32LE(60);
  if (check === 0) return 0;
  const found = check === CHECK_RESULT ? result : firstByte(memory, taken[0] ?? 0n);
  return BigInt(found) === operation.readBigInt64LE(64) ? 0 : EPROTO;
}

function firstByte(memory: Memory, address: bigint): number {
  return memory.read(Number(address - memory.address), 1).readUInt8(0);
}
