/** What dpkg has installed: `/var/lib/dpkg/status`, and `status.d` of images that are made without dpkg. Source: dpkg's documentation, deb-control(5); Debian's copyright format 1.0. */
import { type ByteString, fromText, toText } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { field, type InstalledPackage } from './installed-package.ts';
import { entriesOf, readRecord } from './read-record.ts';
import { type Stanza, stanzas } from './stanzas.ts';

const STATUS = 'var/lib/dpkg/status';
const STATUS_DIRECTORY = 'var/lib/dpkg/status.d';
const COPYRIGHT_BYTES_MAX = 4 << 20;
const FORMAT = /^https?:\/\/www\.debian\.org\/doc\/packaging-manuals\/copyright-format\/1\.0\/?$/;
const LICENSES_MAX = 100;

export function* dpkgPackages(tree: FileTree): Generator<InstalledPackage> {
  const files: (string | ByteString)[] = [STATUS, ...entriesOf(tree, STATUS_DIRECTORY).filter((path) => !path.endsWith('.md5sums'))];
  for (const file of files) {
    for (const stanza of stanzas(readRecord(tree, file) ?? '')) {
      const found = packageOf(tree, stanza, typeof file === 'string' && file === STATUS ? STATUS : toText(file as ByteString));
      if (found !== undefined) yield found;
    }
  }
}

function packageOf(tree: FileTree, stanza: Stanza, file: string): InstalledPackage | undefined {
  const [name, version] = [field(stanza.get('package')), field(stanza.get('version'))];
  // Wanted, errors, state: what only its configuration is left of is not there. `status.d` has no such line.
  const state = (stanza.get('status') ?? 'install ok installed').split(' ')[2] ?? '';
  if (name === undefined || version === undefined || /^(?:not-installed|config-files)$/.test(state)) return undefined;
  const [, source, sourceVersion] = /^(\S+)(?:\s+\(([^)]*)\))?/.exec(stanza.get('source') ?? '') ?? [];
  const upstream = source === undefined ? undefined : `${source}${sourceVersion === undefined ? '' : `@${sourceVersion}`}`;
  return {
    ...{ manager: 'deb', name, version, architecture: field(stanza.get('architecture')), upstream: field(upstream) },
    ...{ license: licenseOf(tree, name), supplier: field(stanza.get('maintainer')), homepage: field(stanza.get('homepage')) },
    ...{ summary: field(stanza.get('description')?.split('\n')[0]), recordedIn: `/${file}` },
  };
}

/** All names of a copyright file that programs can read, as one expression; undefined of others. */
function licenseOf(tree: FileTree, name: string): string | undefined {
  if (!/^[a-z0-9][a-z0-9+.-]*$/.test(name)) return undefined;
  const text = readRecord(tree, fromText(`usr/share/doc/${name}/copyright`), COPYRIGHT_BYTES_MAX);
  if (text === undefined || !/^format:/i.test(text.trimStart())) return undefined;
  const [header, ...rest] = stanzas(text);
  if (header === undefined || !FORMAT.test(header.get('format') ?? '')) return undefined;
  const names = new Set<string>();
  for (const stanza of [header, ...rest.filter((each) => each.has('files'))]) {
    const line = field(stanza.get('license')?.split('\n')[0]);
    if (line !== undefined && names.size < LICENSES_MAX) names.add(line);
  }
  return names.size === 0
    ? undefined
    : [...names]
        .sort()
        .map((each) => (names.size > 1 && /\s/.test(each) ? `(${each})` : each))
        .join(' AND ');
}
