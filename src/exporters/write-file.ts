/** Bytes to a file that appears when it is whole, or to a stream. */
import { closeSync, fsync, fsyncSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { renameAt } from '../sys/entries.ts';
import { openDirectory } from '../sys/open.ts';
import { fromText } from '../tree/byte-string.ts';
import { makeAside } from './aside.ts';
import { exportFailure } from './export-failure.ts';

/** A file that appears under `path` when it is whole, or a stream, which is ended (standard output excepted). */
export type FileOutput = { readonly path: string } | { readonly stream: Writable };

const BUFFERED_BYTES = 1 << 20;

const syncFile = promisify(fsync);

/**
 * `write` ends the stream that it is given. When this rejects, there is no file, or the one that was there before. A device or a pipe is
 * written to as it is. Throws EXPORT_FAILED.
 */
export async function writeFile(output: FileOutput, write: (target: Writable) => Promise<void>): Promise<void> {
  if ('stream' in output) return write(output.stream);
  try {
    if (isDevice(output.path)) await writeThrough(output.path, write);
    else await writeAside(output.path, write);
  } catch (error) {
    throw exportFailure(error, output.path);
  }
}

/** /dev/null and its like, pipes too: what is written to and not replaced. */
function isDevice(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && !stat.isFile() && !stat.isDirectory();
}

async function writeThrough(path: string, write: (target: Writable) => Promise<void>): Promise<void> {
  const file = await open(path, 'w');
  await write(file.createWriteStream({ highWaterMark: BUFFERED_BYTES }));
}

async function writeAside(path: string, write: (target: Writable) => Promise<void>): Promise<void> {
  const dir = openDirectory(fromText(dirname(path)));
  try {
    const name = fromText(basename(path));
    using aside = makeAside(dir, name, 'file');
    // A descriptor of the stream's own, since a stream that fails closes it; that of `aside` holds the lock.
    await writeThrough(`/proc/self/fd/${aside.fd}`, write);
    await syncFile(aside.fd);
    renameAt(dir, aside.name, dir, name);
    fsyncSync(dir);
  } finally {
    closeSync(dir);
  }
}
