/** Installed distributions of Python: `*.dist-info/METADATA`, and `*.egg-info` of older tools. Source: Python packaging specifications, "Recording installed projects", "Core metadata". */
import { type ByteString, toText } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { field, type InstalledPackage } from './installed-package.ts';
import { readText } from './read-record.ts';
import { stanzas } from './stanzas.ts';

const PLACE = /(?:^|\/)(?:[^/]+\.dist-info\/METADATA|[^/]+\.egg-info\/PKG-INFO|(?:site|dist)-packages\/[^/]+\.egg-info)$/;
const BYTES_MAX = 4 << 20;
/** What a licence field may be that is no licence: its text. */
const LICENSE_NAME_MAX = 100;

export function isPythonPackage(path: ByteString): boolean {
  return PLACE.test(path);
}

/** undefined for a file that is no distribution's. */
export function pythonPackage(tree: FileTree, path: ByteString): InstalledPackage | undefined {
  const text = readText(tree, path, BYTES_MAX);
  // The first empty line ends the header; what follows is a description.
  const [header] = stanzas(text ?? '');
  const [name, version] = [field(header?.get('name')), field(header?.get('version'))];
  if (header === undefined || name === undefined || version === undefined) return undefined;
  const license = field(header.get('license-expression')) ?? shortLicense(header.get('license'));
  const author = field(header.get('author-email')?.includes('<') === true ? header.get('author-email') : header.get('author'));
  return {
    ...{ manager: 'pypi', name, version, license, supplier: author, homepage: field(header.get('home-page')) },
    ...{ summary: field(header.get('summary')), recordedIn: `/${toText(path)}` },
    // Debian leaves both records of some.
    installedIn: toText(path).replace(/[^/]+\.(?:dist|egg)-info(?:\/.*)?$/, ''),
  };
}

/** The one spelling that compares. Source: "Names and normalization". */
export function pythonName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

function shortLicense(text: string | undefined): string | undefined {
  const isName = text !== undefined && text.length <= LICENSE_NAME_MAX && !text.includes('\n') && text !== 'UNKNOWN';
  return isName ? field(text) : undefined;
}
