/** An independent check of a whole state directory: reads the files itself and uses nothing of src/. What blobs and references are, `_fsck.ts` says. */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { fsck } from './_fsck.ts';

/**
 * `crashed`: no command has come since a kill, so unfinished files may lie about, though nothing that has its name may be wrong.
 * `settled`: a command has: nothing is left that is not in use.
 */
export type StateKind = 'crashed' | 'settled';

/** One line per fault; empty where everything in the state directory is sound. */
export function checkState(root: string, kind: StateKind): string[] {
  return [
    ...fsck(root),
    ...namesOf(join(root, 'refs')).flatMap((file) => checkLayers(root, descriptorOf(root, file).digest)),
    ...['snapshots', 'snapshots-userns'].flatMap((name) => checkSnapshots(join(root, name), kind)),
    ...checkRecords(root),
    ...(kind === 'settled' ? leftovers(root) : []),
  ];
}

/** The digest that a reference leads to; undefined where there is none. Takes the name as it was normalized. */
export function referenced(root: string, name: string): string | undefined {
  const file = `${encodeURIComponent(name)}.json`;
  return existsSync(join(root, 'refs', file)) ? descriptorOf(root, file).digest : undefined;
}

/** Digests of all blobs that the image needs. */
export function reachable(root: string, name: string): string[] {
  const path = (of: string): string => join(root, 'blobs/sha256', of.replace('sha256:', ''));
  const manifest = referenced(root, name);
  if (manifest === undefined) return [];
  const { config, layers } = JSON.parse(readFileSync(path(manifest), 'utf8'));
  return [manifest, config.digest, ...layers.map(({ digest }: { digest: string }) => digest)];
}

/** How many of everything there are: a build that was interrupted and made again has no more than one that was not. */
export function entryCounts(root: string): Readonly<Record<string, number>> {
  const places = [
    'blobs/sha256',
    'refs',
    'origins',
    'snapshots/d',
    'snapshots/names',
    'cache/steps',
    'cache/layers',
    'cache/accounts',
    'cache/mounts',
  ];
  return Object.fromEntries(places.map((place) => [place, namesOf(join(root, place)).length]));
}

/**
 * Bytes on the disk and files, below `directory`: each inode once. Not the sizes of snapshots: whether a build measures them depends on what
 * others write to the same disk.
 */
export function diskUsage(directory: string): { bytes: number; files: number } {
  const usage = { bytes: 0, files: 0 };
  const seen = new Set<number>();
  const walk = (path: string): void => {
    const stat = lstatSync(path);
    if (seen.has(stat.ino)) return;
    seen.add(stat.ino);
    usage.bytes += stat.blocks * 512;
    usage.files++;
    if (stat.isDirectory()) for (const name of readdirSync(path)) if (name !== 'size') walk(join(path, name));
  };
  walk(directory);
  return usage;
}

function descriptorOf(root: string, file: string): { digest: string } {
  return JSON.parse(readFileSync(join(root, 'refs', file), 'utf8')).descriptor;
}

/** Sound layers, by blob and diffID: a store is checked over and over. */
const rightLayers = new Set<string>();

function checkLayers(root: string, digest: string): string[] {
  const path = (of: string): string => join(root, 'blobs/sha256', of.replace('sha256:', ''));
  // That it is missing is told already.
  if (!existsSync(path(digest))) return [];
  const document = JSON.parse(readFileSync(path(digest), 'utf8'));
  if (document.manifests !== undefined)
    return document.manifests.flatMap((child: { digest: string }) =>
      existsSync(path(child.digest)) ? checkLayers(root, child.digest) : [],
    );
  if (!existsSync(path(document.config.digest))) return [];
  const config = JSON.parse(readFileSync(path(document.config.digest), 'utf8'));
  if (config.rootfs.diff_ids.length !== document.layers.length) return [`${digest} has not as many diffIDs as layers`];
  return document.layers.flatMap((layer: { digest: string }, i: number) => {
    const claim = `${layer.digest} ${config.rootfs.diff_ids[i]}`;
    if (rightLayers.has(claim) || !existsSync(path(layer.digest))) return [];
    const bytes = readFileSync(path(layer.digest));
    const plain = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
    if (`sha256:${sha256(plain)}` !== config.rootfs.diff_ids[i]) return [`layer ${layer.digest} is not ${config.rootfs.diff_ids[i]}`];
    rightLayers.add(claim);
    return [];
  });
}

function checkSnapshots(base: string, kind: StateKind): string[] {
  if (!existsSync(base)) return [];
  const faults: string[] = [];
  const ids = new Set<string>();
  for (const name of readdirSync(join(base, 'names'))) {
    const target = readlinkSync(join(base, 'names', name));
    const id = /^\.\.\/d\/([a-z0-9]+)$/.exec(target)?.[1];
    if (id === undefined || !existsSync(join(base, 'd', id))) {
      faults.push(`snapshot ${name} leads to ${target}`);
      continue;
    }
    ids.add(id);
    const directory = join(base, 'd', id);
    if (!existsSync(join(directory, 'fs'))) faults.push(`snapshot ${name} has no files`);
    const info = jsonAt(join(directory, 'info.json'));
    if (info?.['name'] !== name) faults.push(`info.json of snapshot ${name} is of ${JSON.stringify(info?.['name'])}`);
    const parent = info?.['parent'];
    if (parent !== undefined && !isLink(join(base, 'names', String(parent))))
      faults.push(`snapshot ${name} stands on ${parent}, which is not there`);
    const more = readdirSync(directory).filter((file) => !['fs', 'flat', 'info.json', 'lock', 'size'].includes(file));
    if (more.length > 0) faults.push(`snapshot ${name} has ${more}`);
  }
  const unnamed = readdirSync(join(base, 'd')).filter((id) => !ids.has(id));
  if (kind === 'settled' && unnamed.length > 0) faults.push(`snapshot directories without a name: ${unnamed}`);
  return faults;
}

/** A record is whole or not there; it leads to what is there or to nothing, never to something else. */
function checkRecords(root: string): string[] {
  const faults: string[] = [];
  for (const kind of ['steps', 'layers', 'accounts', 'contexts', 'downloads']) {
    const directory = join(root, 'cache', kind);
    for (const key of namesOf(directory).filter((name) => name !== '.tmp' && name !== 'files')) {
      const record = jsonAt(join(directory, key));
      if (!/^[a-f0-9]{64}$/.test(key) || record === undefined) faults.push(`record ${kind}/${key} is torn`);
      const blob = (record?.['value'] as { descriptor?: { digest: string; size: number } } | undefined)?.descriptor;
      const path = blob && join(root, 'blobs/sha256', blob.digest.replace('sha256:', ''));
      if (blob !== undefined && path !== undefined && existsSync(path) && lstatSync(path).size !== blob.size)
        faults.push(`record ${kind}/${key} says ${blob.size} bytes of ${blob.digest}`);
    }
  }
  return faults;
}

function leftovers(root: string): string[] {
  const cache = join(root, 'cache');
  const places = [
    ...namesOf(join(root, 'ingest')).map((name) => `ingest/${name}`),
    ...namesOf(join(root, 'cgroups')).map((name) => `cgroups/${name}`),
    ...namesOf(root).filter((name) => name.startsWith('.')),
    ...namesOf(join(cache, 'running')).map((name) => `cache/running/${name}`),
    ...namesOf(cache).flatMap((kind) => namesOf(join(cache, kind, '.tmp')).map((name) => `cache/${kind}/.tmp/${name}`)),
    ...namesOf(join(cache, 'downloads/files')).filter((name) => name.startsWith('.tmp')),
    ...namesOf(join(cache, 'mounts')).flatMap((name) =>
      namesOf(join(cache, 'mounts', name)).filter((slot) => existsSync(join(cache, 'mounts', name, slot, 'new'))),
    ),
  ];
  return places.map((place) => `left: ${place}`);
}

function namesOf(directory: string): string[] {
  return existsSync(directory) && lstatSync(directory).isDirectory() ? readdirSync(directory) : [];
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function jsonAt(path: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
