/** What a cache mount of another state directory held: an archive of its directory. */
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';

export interface PortableMount {
  /** 64 hex digits: the mount's id and what else tells it from others. */
  readonly name: string;
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  /** Of the directory itself. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Of the archive; a cache that grew beyond it is not worth its transfer. */
export const MOUNT_BYTES_MAX = 4 * 2 ** 30;
const ID_MAX = 2 ** 32 - 2;

export function isPortableMount(value: unknown): value is PortableMount {
  const { name, descriptor, diffId, mode, uid, gid } = (value ?? {}) as Partial<PortableMount>;
  const { digest, mediaType, size } = (descriptor ?? {}) as Partial<Descriptor>;
  const isCount = (number: unknown, most: number): boolean => Number.isInteger(number) && Number(number) >= 0 && Number(number) <= most;
  return (
    typeof name === 'string' &&
    /^[a-f0-9]{64}$/.test(name) &&
    isDigest(digest) &&
    isDigest(diffId) &&
    typeof mediaType === 'string' &&
    /^application\/vnd\.oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?$/.test(mediaType) &&
    isCount(size, MOUNT_BYTES_MAX) &&
    isCount(mode, 0o7777) &&
    isCount(uid, ID_MAX) &&
    isCount(gid, ID_MAX)
  );
}
