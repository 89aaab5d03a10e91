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
  /** A struct msghdr that passes this descriptor. */
  | { readonly descriptor: number }
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
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** CMSG_SPACE(sizeof(int)); CMSG_LEN is four less. */
const CONTROL_BYTES = 24;

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
  const pool = new DataPool(Number(layout.address) + operations.length);
  const results = new Map<string, number>();
  program.forEach((operation, index) => {
    const at = index * OPERATION_BYTES;
    writeWord(operations, syscallNumber(operation.syscall, layout.architecture), at);
    writeArguments({ operations, at }, operation, { pool, results, inputs: layout.inputs });
    writeChecks({ operations, at }, operation);
    if (operation.as !== undefined) results.set(operation.as, index);
  });
  return { operations, data: pool.bytes() };
}

interface Names {
  readonly pool: DataPool;
  readonly results: ReadonlyMap<string, number>;
  readonly inputs: ReadonlyMap<string, number>;
}

/** Where one operation's bytes begin. */
interface Place {
  readonly operations: Buffer;
  readonly at: number;
}

function writeArguments({ operations, at }: Place, operation: Operation, names: Names): void {
  if (operation.arguments.length > 6) throw new Error(`Too many arguments for ${operation.syscall}`);
  let fromResult = 0;
  operation.arguments.forEach((argument, index) => {
    if (typeof argument === 'object' && 'result' in argument) fromResult |= 1 << index;
    writeWord(operations, argumentValue(argument, names), at + 8 + index * 8);
  });
  if (operation.needs !== undefined) {
    // In the place of a sixth argument, which the kernel does not read.
    if (operation.arguments.length === 6) throw new Error(`No room for what ${operation.syscall} needs`);
    fromResult |= 1 << 5;
    writeWord(operations, known(names.results, operation.needs), at + 8 + 5 * 8);
  }
  operations.writeUInt32LE(fromResult, at + 56);
}

function argumentValue(argument: Argument, { pool, results, inputs }: Names): number {
  if (typeof argument === 'number') return argument;
  if ('text' in argument) return pool.addText(argument.text);
  if ('texts' in argument) return pool.addTexts(argument.texts);
  if ('bytes' in argument) return pool.add(Buffer.from(argument.bytes, 'base64'));
  if ('filter' in argument) return pool.addFilter(Buffer.from(argument.filter, 'base64'));
  if ('descriptor' in argument) return pool.addDescriptorMessage(argument.descriptor);
  if ('space' in argument) return pool.addSpace(argument.space);
  if ('result' in argument) return known(results, argument.result);
  return known(inputs, argument.input);
}

function writeChecks({ operations, at }: Place, { syscall, expect, ignore = [] }: Operation): void {
  if (ignore.length > IGNORED_MAX) throw new Error(`Too many ignored errors for ${syscall}`);
  ignore.forEach((errno, index) => {
    operations.writeInt32LE(errno, at + 72 + index * 4);
  });
  if (expect === undefined) return;
  const result = 'result' in expect;
  operations.writeUInt32LE(result ? CHECK_RESULT : CHECK_FIRST_BYTE, at + 60);
  writeWord(operations, result ? expect.result : expect.firstByte, at + 64);
}

/** 64 bits from a safe integer: several times as fast as by way of a BigInt, and a program has a thousand. */
function writeWord(bytes: Buffer, value: number, at: number): void {
  if (!Number.isSafeInteger(value)) throw new Error(`Not a number that a program can hold: ${value}`);
  bytes.writeUInt32LE(value >>> 0, at);
  bytes.writeInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

function known(names: ReadonlyMap<string, number>, name: string): number {
  const value = names.get(name);
  if (value === undefined) throw new Error(`The program uses ${name} before it exists`);
  return value;
}

/** What pointers point to, 16-byte aligned, one after the other from a known address. */
class DataPool {
  readonly #address: number;
  #bytes = Buffer.alloc(16_384);
  #size = 0;

  constructor(address: number) {
    this.#address = address;
  }

  /** Zero bytes; returns their address. */
  addSpace(length: number): number {
    const at = this.#size;
    this.#size += Math.ceil(Math.max(length, 1) / 16) * 16;
    while (this.#size > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    return this.#address + at;
  }

  add(bytes: Uint8Array): number {
    const address = this.addSpace(bytes.length);
    this.#bytes.set(bytes, address - this.#address);
    return address;
  }

  /** A C string. */
  addText(text: string): number {
    if (text.includes('\0')) throw new Error('A string of the program contains a NUL byte');
    const address = this.addSpace(Buffer.byteLength(text) + 1);
    this.#bytes.write(text, address - this.#address);
    return address;
  }

  /** A NULL-terminated array of C strings. */
  addTexts(texts: readonly string[]): number {
    const array = Buffer.alloc((texts.length + 1) * 8);
    texts.forEach((text, index) => {
      writeWord(array, this.addText(text), index * 8);
    });
    return this.add(array);
  }

  /** struct sock_fprog { unsigned short len; struct sock_filter *filter; }, seccomp(2). */
  addFilter(filter: Buffer): number {
    const header = Buffer.alloc(16);
    header.writeUInt16LE(filter.length / 8, 0);
    writeWord(header, this.add(filter), 8);
    return this.add(header);
  }

  /** One byte and SCM_RIGHTS: sendmsg(2), cmsg(3), unix(7). */
  addDescriptorMessage(descriptor: number): number {
    const vector = Buffer.alloc(16);
    writeWord(vector, this.addSpace(1), 0);
    writeWord(vector, 1, 8);
    const control = Buffer.alloc(CONTROL_BYTES);
    writeWord(control, CONTROL_BYTES - 4, 0);
    control.writeInt32LE(SOL_SOCKET, 8);
    control.writeInt32LE(SCM_RIGHTS, 12);
    control.writeInt32LE(descriptor, 16);
    const message = Buffer.alloc(56);
    writeWord(message, this.add(vector), 16);
    writeWord(message, 1, 24);
    writeWord(message, this.add(control), 32);
    writeWord(message, CONTROL_BYTES, 40);
    return this.add(message);
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#size);
  }
}
