/** Small files that are whole or not there: written aside, synced, renamed. */
import { closeSync, fsync, openSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { orNoSpace } from './no-space.ts';
import type { ScratchDirectory } from './scratch-directory.ts';

const syncFile = promisify(fsync);

/** After this resolves, `path` holds `bytes`, and power loss does not change that. */
export async function writeDurably(scratch: ScratchDirectory, path: string, bytes: Buffer): Promise<void> {
  await replaceFile(scratch, path, { bytes, sync: 'sync' });
  await syncDirectory(dirname(path));
}

/** After this resolves, `path` holds `bytes`; after power loss it may hold the old or nothing. For what can be found out again. */
export async function writeAtomically(scratch: ScratchDirectory, path: string, bytes: Buffer): Promise<void> {
  await replaceFile(scratch, path, { bytes, sync: 'no-sync' });
}

/** Makes the names in a directory durable: fsync(2) of the file alone does not. */
export async function syncDirectory(path: string): Promise<void> {
  const fd = openSync(path, 'r');
  try {
    await syncFile(fd);
  } finally {
    closeSync(fd);
  }
}

async function replaceFile(scratch: ScratchDirectory, path: string, content: { bytes: Buffer; sync: 'sync' | 'no-sync' }): Promise<void> {
  const directory = dirname(path);
  await orNoSpace(directory, content.bytes.length, async () => {
    const file = await scratch.create();
    try {
      try {
        await file.handle.writeFile(content.bytes);
        if (content.sync === 'sync') await file.handle.sync();
      } finally {
        await file.close();
      }
      await rename(file.path, path);
    } catch (error) {
      await rm(file.path, { force: true });
      throw error;
    }
  });
}
