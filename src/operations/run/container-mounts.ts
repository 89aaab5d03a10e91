/** Mounts that the caller of `run` asks for, as the sandbox takes them. */
import { statSync } from 'node:fs';
import { posix, resolve } from 'node:path';
import { TsbuildError } from '../../errors.ts';
import type { MountSpec } from '../../sandbox/container-spec.ts';
import type { ContainerMount } from './run-options.ts';

/** Throws MOUNT_INVALID: a source that is not there is made for nobody. */
export function containerMounts(mounts: readonly ContainerMount[]): MountSpec[] {
  const seen = new Set<string>();
  return mounts.map((mount) => {
    const target = cleanTarget(mount.target);
    if (seen.has(target)) throw new TsbuildError('MOUNT_INVALID', `Cannot mount on ${target} twice`);
    seen.add(target);
    return mount.type === 'bind' ? bindOf(mount, target) : tmpfsOf(mount, target);
  });
}

/** Absolute and not the root. Throws MOUNT_INVALID. */
export function cleanTarget(target: string): string {
  if (!target.startsWith('/') || target.includes('\0')) {
    throw new TsbuildError('MOUNT_INVALID', `Cannot mount on ${JSON.stringify(target)}: not an absolute path of the container`);
  }
  const clean = posix.normalize(target).replace(/\/+$/, '');
  if (clean === '') throw new TsbuildError('MOUNT_INVALID', 'Cannot mount on the root of the container');
  return clean;
}

/** What is mounted is what the path is when the container starts; if it is another kind of file by then, the kernel refuses. */
function bindOf({ source, access }: Extract<ContainerMount, { type: 'bind' }>, target: string): MountSpec {
  const hostPath = resolve(source);
  let stat: ReturnType<typeof statSync>;
  try {
    stat = statSync(hostPath);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new TsbuildError('MOUNT_INVALID', `Cannot mount ${JSON.stringify(source)} on ${target}: ${code ?? String(error)}`, {
      ...(code === 'ENOENT' ? { hint: 'Make it first: nothing is made on the machine for a mount.' } : {}),
      cause: error,
    });
  }
  return { kind: 'bind', target, hostPath, access, type: stat?.isDirectory() === true ? 'directory' : 'file' };
}

function tmpfsOf({ bytes, mode, access, execute }: Extract<ContainerMount, { type: 'tmpfs' }>, target: string): MountSpec {
  return {
    ...{ kind: 'tmpfs', target },
    ...(bytes === undefined ? {} : { bytes }),
    ...(mode === undefined ? {} : { mode }),
    ...(access === undefined ? {} : { access }),
    ...(execute === 'allowed' ? {} : { execute: 'never' }),
  };
}
