/** Hiding and write-protecting parts of /proc and /sys. A path that this kernel does not have is left out. */
import type { Operation } from '../sys/syscall-program.ts';
import type { ContainerSpec, MaskedPath } from './container-spec.ts';
import { attach, cloneMount, ENOENT, ENOTDIR, openTarget, SCRATCH } from './file-operations.ts';

export function pathOperations({ maskedPaths, readonlyPaths }: Pick<ContainerSpec, 'maskedPaths' | 'readonlyPaths'>): Operation[] {
  const masked = [...new Map(maskedPaths.map((mask) => [mask.path, mask])).values()];
  return [...[...new Set(readonlyPaths)].flatMap(protect), ...masked.flatMap(hide)];
}

/** A second mount of the place itself, read-only, that keeps nosuid, nodev and noexec. */
function protect(path: string, index: number): Operation[] {
  const place = `readonly${index}.place`;
  const as = `readonly${index}`;
  const subject = `${path} read-only in the container`;
  return [
    openTarget({ path, links: 'refuse', as: place, why: 'to protect it', ignore: [ENOENT, ENOTDIR] }),
    ...cloneMount({ dir: { result: place }, path: '', tree: 'with mounts below', attributes: ['ro'], as, subject }),
    attach(as, { result: place }, subject),
  ];
}

/** Files become our own null device, never what the image calls /dev/null (CVE-2025-31133); directories an empty one. */
function hide({ path, type }: MaskedPath, index: number): Operation[] {
  const place = `masked${index}.place`;
  const as = `masked${index}`;
  const subject = `an empty ${type} over ${path} in the container`;
  const source = type === 'file' ? 'null' : 'empty';
  const attributes = ['ro', 'nosuid', 'noexec', ...(type === 'file' ? [] : ['nodev' as const])] as const;
  const open = openTarget({ path, links: 'refuse', as: place, why: 'to hide it', ignore: [ENOENT, ENOTDIR] });
  return [
    open,
    ...cloneMount({ dir: SCRATCH, path: source, tree: 'this mount', attributes, as, subject, needs: place }),
    attach(as, { result: place }, subject),
  ];
}
