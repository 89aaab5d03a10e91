/**
 * A file that may be a tar, compressed in any way that ADD knows: told by content, never by name. What Node cannot decompress, the
 * machine's own program does, on the machine's files and outside of every container (CVE-2014-9357).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, readSync } from 'node:fs';
import zlib from 'node:zlib';
import { TsbuildError } from '../errors.ts';
import { type ChunkMemory, readAhead } from '../sys/read-ahead.ts';
import { decompress, isDecoded } from './decompress.ts';
import { isTarBlock } from './tar-fields.ts';

interface Program {
  readonly name: string;
  readonly args: readonly string[];
}

const BLOCK_BYTES = 512;
const MAGIC_BYTES = 6;
const STDERR_MAX = 500;
/** Where a distribution keeps programs; PATH is the caller's, and could lead into the context. */
const PROGRAM_DIRECTORIES = ['/usr/bin', '/bin', '/usr/local/bin'];
/** A decompressor that asks for more memory than this has been given a bomb. */
const XZ: Program = { name: 'xz', args: ['-dc', '-T1', '--memlimit-decompress=256MiB'] };
const BZIP2: Program = { name: 'bzip2', args: ['-dc'] };
const ZSTD: Program = { name: 'zstd', args: ['-dcq', '--memory=128MB'] };

/** Whether the file starts, decompressed, with the header of a tar entry. Closes `fd`. Throws UNSUPPORTED where a program is missing. */
export async function isArchiveFile(fd: number): Promise<boolean> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of readArchiveFile(fd)) {
      parts.push(Buffer.from(chunk.subarray(0, BLOCK_BYTES)));
      size += chunk.length;
      if (size >= BLOCK_BYTES) break;
    }
    // An entry that we refuse to read is an error when it is unpacked, and no reason to copy the archive as a file.
    return size >= BLOCK_BYTES && isTarBlock(Buffer.concat(parts).subarray(0, BLOCK_BYTES));
  } catch (error) {
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_LAYER_INVALID') return false;
    throw error;
  }
}

/**
 * The file's bytes, decompressed; each chunk is good until the next is asked for. Closes `fd`, whose offset must be 0. Throws
 * LAYER_INVALID, and UNSUPPORTED where a program is missing.
 */
export async function* readArchiveFile(fd: number): AsyncGenerator<Buffer, void, undefined> {
  const head = Buffer.alloc(MAGIC_BYTES);
  const program = programFor(head.toString('hex', 0, readSync(fd, head, { position: 0 })));
  if (program !== undefined) yield* runProgram(fd, program);
  else yield* decompress(closing(fd, isDecoded(head) ? 'fresh' : 'reused'));
}

async function* closing(fd: number, memory: ChunkMemory): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* readAhead(fd, memory);
  } finally {
    closeSync(fd);
  }
}

function programFor(magic: string): Program | undefined {
  if (magic.startsWith('425a68')) return BZIP2;
  if (magic === 'fd377a585a00') return XZ;
  return magic.startsWith('28b52ffd') && !('createZstdDecompress' in zlib) ? ZSTD : undefined;
}

async function* runProgram(fd: number, program: Program): AsyncGenerator<Buffer, void, undefined> {
  const { child, stdout, stderr } = startProgram(fd, program);
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  let words = '';
  stderr.on('data', (chunk: Buffer) => {
    if (words.length < STDERR_MAX) words += chunk.toString();
  });
  try {
    for await (const chunk of stdout) yield chunk as Buffer;
    const [code, signal] = await ended;
    if (code !== 0) throw failed(words.trim() === '' ? `${program.name} ended with ${code ?? signal}` : words);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

function startProgram(fd: number, { name, args }: Program) {
  try {
    const directory = PROGRAM_DIRECTORIES.find((each) => existsSync(`${each}/${name}`));
    if (directory === undefined) {
      throw new TsbuildError('UNSUPPORTED', `Cannot decompress ${name}: this machine has no program ${name}`, {
        hint: `Install it (apt-get install ${name === 'xz' ? 'xz-utils' : name}), or add the file as it is with ADD --unpack=false.`,
      });
    }
    const env = { PATH: PROGRAM_DIRECTORIES.join(':'), LC_ALL: 'C' };
    const child = spawn(`${directory}/${name}`, args, { cwd: '/', env, stdio: [fd, 'pipe', 'pipe'] });
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error('A pipe that was asked for is there');
    return { child, stdout, stderr };
  } finally {
    closeSync(fd);
  }
}

function failed(words: string): TsbuildError {
  const line = words.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ').trim();
  return new TsbuildError('LAYER_INVALID', `Cannot decompress a layer: ${line.slice(0, STDERR_MAX).replace(/^\S*\/|\(stdin\): /g, '')}`);
}
