/** Memory outside V8's heap, by mmap(2): what a child or machine code uses must neither move nor be left out of a fork. */
import { SyscallError } from '../errors.ts';
import { errnoName } from './errno.ts';
import { bind, lastErrno } from './libc.ts';

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const PAGE_BYTES = 65_536; // arm64 kernels may have pages of 64 KiB
const FAILED = 0xffff_ffff_ffff_ffffn;

const mmap = bind('uintptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, int64_t offset)');
const mprotect = bind('int mprotect(uintptr_t address, size_t length, int protection)');
const munmap = bind('int munmap(uintptr_t address, size_t length)');
const copyIn = bind('void *memcpy(uintptr_t destination, const void *source, size_t size)');
const copyOut = bind('void *memcpy(void *destination, uintptr_t source, size_t size)');

/** A private mapping that its holder unmaps. */
export class Memory implements Disposable {
  readonly address: bigint;
  readonly size: number;

  constructor(bytes: number) {
    this.size = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
    this.address = BigInt(mmap(0, this.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) as number | bigint);
    if (BigInt.asUintN(64, this.address) === FAILED) throw new SyscallError('mmap', `${this.size} bytes`, errnoName(lastErrno()));
  }

  write(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.size) throw new Error('Write past the end of a mapping');
    if (bytes.length > 0) copyIn(this.address + BigInt(offset), bytes, bytes.length);
  }

  read(offset: number, length: number): Buffer {
    if (offset + length > this.size) throw new Error('Read past the end of a mapping');
    const bytes = Buffer.alloc(length);
    if (length > 0) copyOut(bytes, this.address + BigInt(offset), length);
    return bytes;
  }

  /** From writable to executable, for good. Hardened kernels refuse (EACCES). */
  makeExecutable(): void {
    if (mprotect(this.address, this.size, PROT_READ | PROT_EXEC) === 0) return;
    throw new SyscallError('mprotect', 'machine code (PROT_EXEC)', errnoName(lastErrno()));
  }

  [Symbol.dispose](): void {
    munmap(this.address, this.size);
  }
}
