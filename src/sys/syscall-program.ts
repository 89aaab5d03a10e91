/**
 * A syscall program: what a child process does between its birth and its exec, as plain data. Two interpreters run the same
 * list: machine code after clone3 (syscall-program-engine.ts) and a walk by koffi in a process of its own (syscall-program-walk.ts).
 */
import { type Architecture, type SyscallName, syscallNumber } from './syscall-program-numbers.ts';

/** One argument. Everything is JSON, so that a program can be printed, compared and sent to another process. */
export type Argument =
  | number
  /** A C string, UTF-8. */
  | { readonly text: string }
  /** A NULL-terminated array of C strings. */
  | { readonly texts: readonly string[] }
  /** Bytes, base64. */
  | { readonly bytes: string }
  /** A struct sock_fprog around an array of struct sock_filter, base64. */
  | { readonly filter: string }
  /** That many zero bytes, for the kernel to write to. */
  | { readonly space: number }
  /** What the operation with this `as` returned. */
  | { readonly result: string }
  /** A descriptor of the launching process by its role, such as `stdout`. */
  | { readonly input: string };

export interface Operation {
  readonly syscall: SyscallName;
  readonly arguments: readonly Argument[];
  /** What the call acts on and how, for `Cannot <syscall> <subject>: <errno>`. */
  readonly subject: string;
  /** Names the result. An operation that uses the result of one that was left out, or failed as expected, is left out. */
  readonly as?: string;
  /** The name of a result that this operation makes sense with only, besides those among its arguments. */
  readonly needs?: string;
  /** errno values that are fine, at most four. */
  readonly ignore?: readonly number[];
  /** What must come back; anything else counts as EPROTO. */
  readonly expect?: { readonly result: number } | { readonly firstByte: number };
}

/** Twin of `struct operation` in native/launch.c. */
const OPERATION_BYTES = 96;
const CHECK_RESULT = 1;
const CHECK_FIRST_BYTE = 2;
const IGNORED_MAX = 4;

/** Where a program's bytes will be: everything that it points to has an address before it is written. */
export interface Layout {
  readonly address: bigint;
  readonly architecture: Architecture;
  readonly inputs: ReadonlyMap<string, number>;
}

export interface EncodedProgram {
  /** `struct operation operations[]`. */
  readonly operations: Buffer;
  /** What the arguments point to; belongs directly behind the operations. */
  readonly data: Buffer;
}

/** The bytes of a program at `layout.address`. Throws on a program that is wrong in itself (a bug). */
export function encodeProgram(program: readonly Operation[], layout: Layout): EncodedProgram {
  const operations = Buffer.alloc(program.length * OPERATION_BYTES);
  const pool = new DataPool(layout.address + BigInt(operations.length));
  const results = new Map<string, number>();
  program.forEach((operation, index) => {
    const view = operations.subarray(index * OPERATION_BYTES, (index + 1) * OPERATION_BYTES);
    view.writeBigInt64LE(BigInt(syscallNumber(operation.syscall, layout.architecture)), 0);
    writeArguments(view, operation, { pool, results, inputs: layout.inputs });
    writeChecks(view, operation);
    if (operation.as !== undefined) results.set(operation.as, index);
  });
  return { operations, data: pool.bytes() };
}

interface Names {
  readonly pool: DataPool;
  readonly results: ReadonlyMap<string, number>;
  readonly inputs: ReadonlyMap<string, number>;
}

function writeArguments(view: Buffer, operation: Operation, names: Names): void {
  if (operation.arguments.length > 6) throw new Error(`Too many arguments for ${operation.syscall}`);
  let fromResult = 0;
  operation.arguments.forEach((argument, index) => {
    if (typeof argument === 'object' && 'result' in argument) fromResult |= 1 << index;
    view.writeBigInt64LE(argumentValue(argument, names), 8 + index * 8);
  });
  if (operation.needs !== undefined) {
    // In the place of a sixth argument, which the kernel does not read.
    if (operation.arguments.length === 6) throw new Error(`No room for what ${operation.syscall} needs`);
    fromResult |= 1 << 5;
    view.writeBigInt64LE(BigInt(known(names.results, operation.needs)), 8 + 5 * 8);
  }
  view.writeUInt32LE(fromResult, 56);
}

function argumentValue(argument: Argument, { pool, results, inputs }: Names): bigint {
  if (typeof argument === 'number') return BigInt(argument);
  if ('text' in argument) return pool.add(cString(argument.text));
  if ('texts' in argument) return pool.addPointers(argument.texts.map(cString));
  if ('bytes' in argument) return pool.add(Buffer.from(argument.bytes, 'base64'));
  if ('filter' in argument) return pool.addFilter(Buffer.from(argument.filter, 'base64'));
  if ('space' in argument) return pool.add(Buffer.alloc(argument.space));
  if ('result' in argument) return BigInt(known(results, argument.result));
  return BigInt(known(inputs, argument.input));
}

function writeChecks(view: Buffer, { syscall, expect, ignore = [] }: Operation): void {
  if (ignore.length > IGNORED_MAX) throw new Error(`Too many ignored errors for ${syscall}`);
  ignore.forEach((errno, index) => {
    view.writeInt32LE(errno, 72 + index * 4);
  });
  if (expect === undefined) return;
  const result = 'result' in expect;
  view.writeUInt32LE(result ? CHECK_RESULT : CHECK_FIRST_BYTE, 60);
  view.writeBigInt64LE(BigInt(result ? expect.result : expect.firstByte), 64);
}

function known(names: ReadonlyMap<string, number>, name: string): number {
  const value = names.get(name);
  if (value === undefined) throw new Error(`The program uses ${name} before it exists`);
  return value;
}

function cString(text: string): Buffer {
  if (text.includes('\0')) throw new Error('A string of the program contains a NUL byte');
  return Buffer.from(`${text}\0`, 'utf8');
}

/** What pointers point to, 16-byte aligned, one after the other from a known address. */
class DataPool {
  readonly #address: bigint;
  readonly #parts: Buffer[] = [];
  #size = 0;

  constructor(address: bigint) {
    this.#address = address;
  }

  add(bytes: Buffer): bigint {
    const address = this.#address + BigInt(this.#size);
    const padded = Buffer.alloc(Math.ceil(Math.max(bytes.length, 1) / 16) * 16);
    bytes.copy(padded);
    this.#parts.push(padded);
    this.#size += padded.length;
    return address;
  }

  addPointers(strings: readonly Buffer[]): bigint {
    const array = Buffer.alloc((strings.length + 1) * 8);
    strings.forEach((string, index) => {
      array.writeBigUInt64LE(this.add(string), index * 8);
    });
    return this.add(array);
  }

  /** struct sock_fprog { unsigned short len; struct sock_filter *filter; }, seccomp(2). */
  addFilter(filter: Buffer): bigint {
    const header = Buffer.alloc(16);
    header.writeUInt16LE(filter.length / 8, 0);
    header.writeBigUInt64LE(this.add(filter), 8);
    return this.add(header);
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
