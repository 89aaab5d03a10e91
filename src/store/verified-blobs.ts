/**
 * Blobs whose bytes have been hashed since the machine started: `verified/HEX` has what stat said of the file then. So a blob that
 * many builds reuse is read once for all of them, and one that was written to since is read again.
 */
import { rmSync, statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { type Digest, hexOf } from '../oci/digest.ts';
import { currentBootId } from '../sys/boot-id.ts';
import { readIfThere } from '../sys/if-there.ts';

/** `damaged`: it was, and has been removed. */
export type BlobHealth = 'sound' | 'absent' | 'damaged';

export interface VerifiedBlobs {
  /** `hash` reads the whole blob; it removes it and throws DIGEST_MISMATCH where it is another one. */
  check(digest: Digest, hash: () => Promise<void>): Promise<BlobHealth>;
  /** Its bytes have just been written, and were hashed meanwhile. */
  note(digest: Digest): Promise<void>;
  forget(digest: Digest): void;
}

/** `pathOf`: where a blob is. */
export function openVerifiedBlobs(root: string, pathOf: (digest: Digest) => string): VerifiedBlobs {
  const recordOf = (digest: Digest): string => join(root, 'verified', hexOf(digest));
  let bootId: string | undefined;
  const stampOf = (digest: Digest): string | undefined => {
    const stat = statSync(pathOf(digest), { bigint: true, throwIfNoEntry: false });
    bootId ??= currentBootId();
    return stat && `${bootId} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
  };
  const write = async (digest: Digest, stamp: string | undefined): Promise<void> => {
    try {
      // A torn one equals no stamp; without it the blob is read once more.
      if (stamp !== undefined) await writeFile(recordOf(digest), stamp, { mode: 0o600 });
    } catch {
      await rm(recordOf(digest), { force: true });
    }
  };
  return {
    async check(digest, hash) {
      const stamp = stampOf(digest);
      if (stamp === undefined) return 'absent';
      if (readIfThere(recordOf(digest)) === stamp) return 'sound';
      try {
        await hash();
      } catch (error) {
        if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_DIGEST_MISMATCH') return 'damaged';
        throw error;
      }
      await write(digest, stamp);
      return 'sound';
    },
    note: async (digest) => await write(digest, stampOf(digest)),
    forget: (digest) => rmSync(recordOf(digest), { force: true }),
  };
}
