/** Bytes to a file that appears when it is whole, or to a stream. */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { exportFailure } from './export-failure.ts';

/** A file that appears under `path` when it is whole, or a stream, which is ended (standard output excepted). */
export type FileOutput = { readonly path: string } | { readonly stream: Writable };

const BUFFERED_BYTES = 1 << 20;

/** `write` ends the stream that it is given. When this rejects, there is no file, or the one that was there before. Throws EXPORT_FAILED. */
export async function writeFile(output: FileOutput, write: (target: Writable) => Promise<void>): Promise<void> {
  if ('stream' in output) return write(output.stream);
  const { path } = output;
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    // Opened first: a stream that cannot be opened fails before anybody listens to it.
    const file = await open(temporary, 'wx', 0o666);
    await write(file.createWriteStream({ flush: true, highWaterMark: BUFFERED_BYTES }));
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw exportFailure(error, path);
  }
  await syncDirectory(dirname(path));
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
