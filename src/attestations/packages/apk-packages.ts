/** What apk has installed: `/lib/apk/db/installed`, letters and values. Source: Alpine's wiki, "Apk spec". */
import type { FileTree } from '../../tree/file-tree.ts';
import { field, type InstalledPackage } from './installed-package.ts';
import { readRecord } from './read-record.ts';

/** apk 3 moves it to where the rest of /lib is. */
const FILES = ['lib/apk/db/installed', 'usr/lib/apk/db/installed'];

export function* apkPackages(tree: FileTree): Generator<InstalledPackage> {
  for (const file of FILES) {
    const text = readRecord(tree, file);
    if (text === undefined) continue;
    for (const record of text.split('\n\n')) {
      const found = packageOf(record, file);
      if (found !== undefined) yield found;
    }
    return;
  }
}

function packageOf(record: string, file: string): InstalledPackage | undefined {
  const values = new Map<string, string>();
  // Letters are many and repeat where files are listed; case counts.
  for (const line of record.split('\n')) if (line[1] === ':' && !values.has(line[0] ?? '')) values.set(line[0] ?? '', line.slice(2));
  const [name, version, origin] = ['P', 'V', 'o'].map((letter) => field(values.get(letter)));
  if (name === undefined || version === undefined) return undefined;
  return {
    ...{ manager: 'apk', name, version, architecture: field(values.get('A')), upstream: origin === name ? undefined : origin },
    ...{ license: field(values.get('L')), supplier: field(values.get('m')), homepage: field(values.get('U')) },
    ...{ summary: field(values.get('T')), recordedIn: `/${file}` },
  };
}
