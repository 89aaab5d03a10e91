/** Dumps of this process's memory: getrlimit(2), core(5). */
import { SyscallError } from '../errors.ts';
import { errnoName, invoke } from './errno.ts';
import { bind } from './libc.ts';

const RLIMIT_CORE = 4;
const LIMIT_BYTES = 16;

const getrlimit = bind('int getrlimit(int resource, _Out_ uint8_t *limit)');
const setrlimit = bind('int setrlimit(int resource, const uint8_t *limit)');

/**
 * From here on a crash leaves no dump, neither as a file nor to a program: the soft limit becomes 1, which is special (core(5),
 * fs/coredump.c `coredump_parse`). The hard limit stays, and so may whoever needs a dump raise it again.
 */
export function forbidDumps(): void {
  const limit = Buffer.alloc(LIMIT_BYTES);
  check(invoke(getrlimit, RLIMIT_CORE, limit));
  // A hard limit of 0 forbids dumps to files, and nothing can be raised above it.
  if (limit.readBigUInt64LE(8) === 0n) return;
  limit.writeBigUInt64LE(1n, 0);
  check(invoke(setrlimit, RLIMIT_CORE, limit));
}

function check(result: number): void {
  if (result < 0) throw new SyscallError('limit the dumps of', 'this process', errnoName(-result));
}
