/** A bundle of the OCI runtime specification on the disk, beside its root file system: bundle.md. */
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import type { Architecture } from '../../sys/syscall-program-numbers.ts';
import type { ContainerSpec } from '../container-spec.ts';
import { type IdRange, type RuntimeOptions, runtimeConfig } from './runtime-config.ts';

export type BundleOptions = Omit<RuntimeOptions, 'arch' | 'kernel'>;

/** Writes config.json, last, and what it mounts of the bundle; the caller has made `rootfs`. */
export function writeBundle(directory: string, spec: ContainerSpec, options: BundleOptions): void {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const { json, files } = runtimeConfig(spec, { ...options, arch: process.arch as Architecture, kernel: { major, minor } });
  for (const { path, bytes, mode, uid, gid } of files) {
    const place = join(directory, path);
    mkdirSync(dirname(place), { recursive: true, mode: 0o755 });
    writeFileSync(place, bytes, { flag: 'wx', mode: 0o600 });
    if (uid !== 0 || gid !== 0) chownSync(place, uid, gid);
    chmodSync(place, mode & 0o777);
  }
  writeFileSync(join(directory, '.config.json'), json, { flag: 'wx', mode: 0o644 });
  renameSync(join(directory, '.config.json'), join(directory, 'config.json'));
}

/** The ids of this process's user namespace: a runtime that the same user starts gets them the same way. */
export function ownUserNamespace(): NonNullable<RuntimeOptions['userNamespace']> {
  return { uids: rangesOf('/proc/self/uid_map'), gids: rangesOf('/proc/self/gid_map') };
}

function rangesOf(path: string): IdRange[] {
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => {
    const [inside = 0, outside = 0, size = 0] = line.trim().split(/\s+/).map(Number);
    return { inside, outside, size };
  });
}
