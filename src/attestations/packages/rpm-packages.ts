/** What rpm has installed, out of its database of headers: SQLite (Fedora since 33, Red Hat 9), a Berkeley DB (before), or ndb (SUSE). */
import { closeSync } from 'node:fs';
import { type ByteString, fromText } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { berkeleyValues } from './berkeley-hash.ts';
import { field, type InstalledPackage } from './installed-package.ts';
import { ndbBlobs } from './ndb-blobs.ts';
import { fileAt } from './read-record.ts';
import { RecordError, type RecordFile, recordFile } from './record-file.ts';
import { type RpmHeader, rpmHeader } from './rpm-header.ts';
import { sqliteRows } from './sqlite-table.ts';

const DIRECTORIES = ['var/lib/rpm', 'usr/lib/sysimage/rpm', 'usr/share/rpm'];
/** The newest first: what a system has moved from may still lie there. */
const FORMATS: ReadonlyMap<string, (file: RecordFile) => Iterable<Buffer>> = new Map([
  ['rpmdb.sqlite', sqliteHeaders],
  ['Packages.db', ndbBlobs],
  ['Packages', berkeleyValues],
]);

/** `warn` is told of a database that could not be read to its end. */
export function* rpmPackages(tree: FileTree, warn: (message: string) => void): Generator<InstalledPackage> {
  for (const directory of DIRECTORIES) {
    for (const [name, headers] of FORMATS) {
      const path = `${directory}/${name}`;
      const place = fileAt(tree, fromText(path));
      if (place === undefined) continue;
      yield* packagesOf(tree, place, { path, headers, warn });
      return;
    }
  }
}

interface Reading {
  /** As the record is called. */
  readonly path: string;
  readonly headers: (file: RecordFile) => Iterable<Buffer>;
  readonly warn: (message: string) => void;
}

function* packagesOf(tree: FileTree, place: ByteString, { path, headers, warn }: Reading): Generator<InstalledPackage> {
  const log = fileAt(tree, fromText(`${path}-wal`));
  if (log !== undefined && (tree.stat(log)?.size ?? 0) > 0)
    warn(`/${path} has a log of changes beside it, which is not read: packages may be missing`);
  const fd = tree.open(place);
  try {
    for (const blob of headers(recordFile(fd, tree.stat(place)?.size ?? 0))) {
      const header = rpmHeader(blob);
      const found = header && packageOf(header, path);
      if (found !== undefined) yield found;
    }
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    warn(`Cannot read all packages of /${path}: ${error.message}`);
  } finally {
    closeSync(fd);
  }
}

function* sqliteHeaders(file: RecordFile): Generator<Buffer> {
  for (const [, blob] of sqliteRows(file, 'Packages')) if (Buffer.isBuffer(blob)) yield blob;
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
