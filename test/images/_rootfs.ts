import { execFileSync } from 'node:child_process';
import { createReadStream, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildEvent } from '../../src/events.ts';
import { importRootfs } from '../../src/images/import-image.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import type { Platform } from '../../src/oci/platform.ts';
import type { Store } from '../../src/store/open-store.ts';

export const AMD64: Platform = { os: 'linux', architecture: 'amd64' };

/** Events that a test collects. */
export function recorder(): { events: BuildEvent[]; emit: (event: BuildEvent) => void } {
  const events: BuildEvent[] = [];
  return { events, emit: (event) => void events.push(event) };
}

/** A small tree with a file, a directory, a link, a hard link and a name that is no UTF-8, as GNU tar packs it. */
export function makeRootfsTar(directory: string, flags: readonly string[] = []): string {
  const tree = join(directory, 'tree');
  mkdirSync(join(tree, 'etc'), { recursive: true });
  mkdirSync(join(tree, 'bin'));
  writeFileSync(join(tree, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(tree, 'bin', 'tool'), Buffer.alloc(300_000, 'tool'), { mode: 0o755 });
  symlinkSync('tool', join(tree, 'bin', 'sh'));
  execFileSync('ln', [join(tree, 'bin', 'tool'), join(tree, 'bin', 'hard')]);
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0x41])]), '');
  const tar = join(directory, 'rootfs.tar');
  execFileSync('tar', [...flags, '-C', tree, '-cf', tar, '.']);
  return tar;
}

export async function importTar(store: Store, tar: string, name = 'base'): Promise<Descriptor> {
  return importRootfs(
    { store, emit: () => undefined, signal: new AbortController().signal },
    { input: createReadStream(tar), name, platform: AMD64 },
  );
}
