/** What rpm has installed, out of its database of headers, where that is SQLite: Fedora since 33, Red Hat and its kin since 9. */
import { closeSync } from 'node:fs';
import { fromText } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { field, type InstalledPackage } from './installed-package.ts';
import { fileAt } from './read-record.ts';
import { type RpmHeader, rpmHeader } from './rpm-header.ts';
import { SqliteError, sqliteRows } from './sqlite-table.ts';

const DIRECTORIES = ['var/lib/rpm', 'usr/lib/sysimage/rpm', 'usr/share/rpm'];
const DATABASE = 'rpmdb.sqlite';
/** Databases that are not read, and what they are. */
const UNREAD: ReadonlyMap<string, string> = new Map([
  ['Packages', 'a Berkeley DB, as Red Hat 8 and older systems have'],
  ['Packages.db', 'an ndb, as SUSE has'],
]);

/** `warn` is told of a database that is there and was not read, or not to its end. */
export function* rpmPackages(tree: FileTree, warn: (message: string) => void): Generator<InstalledPackage> {
  for (const directory of DIRECTORIES) {
    const path = `${directory}/${DATABASE}`;
    const place = fileAt(tree, fromText(path));
    if (place !== undefined) return yield* packagesOf(tree, place, { path, warn });
    for (const [name, kind] of UNREAD) {
      if (fileAt(tree, fromText(`${directory}/${name}`)) !== undefined)
        warn(`Cannot read the packages of /${directory}/${name}: it is ${kind}`);
    }
  }
}

interface Reading {
  /** As the record is called. */
  readonly path: string;
  readonly warn: (message: string) => void;
}

function* packagesOf(tree: FileTree, place: Parameters<FileTree['open']>[0], { path, warn }: Reading): Generator<InstalledPackage> {
  const log = fileAt(tree, fromText(`${path}-wal`));
  if (log !== undefined && (tree.stat(log)?.size ?? 0) > 0)
    warn(`/${path} has a log of changes beside it, which is not read: packages may be missing`);
  const fd = tree.open(place);
  try {
    for (const [, blob] of sqliteRows(fd, tree.stat(place)?.size ?? 0, 'Packages')) {
      const header = Buffer.isBuffer(blob) ? rpmHeader(blob) : undefined;
      const found = header && packageOf(header, path);
      if (found !== undefined) yield found;
    }
  } catch (error) {
    if (!(error instanceof SqliteError)) throw error;
    warn(`Cannot read all packages of /${path}: ${error.message}`);
  } finally {
    closeSync(fd);
  }
}

/** Keys that rpm trusts are kept as packages, too. */
function packageOf(header: RpmHeader, path: string): InstalledPackage | undefined {
  const [name, version, release] = [field(header.name), field(header.version), field(header.release)];
  if (name === undefined || version === undefined || name === 'gpg-pubkey') return undefined;
  return {
    ...{ manager: 'rpm', name, version: release === undefined ? version : `${version}-${release}`, architecture: field(header.arch) },
    ...{ epoch: header.epoch === '0' ? undefined : header.epoch, upstream: field(header.sourceRpm), license: field(header.license) },
    ...{ supplier: field(header.vendor), homepage: field(header.url), summary: field(header.summary), recordedIn: `/${path}` },
  };
}
