/** What a checksum saw of each file, for telling later which one changed. */
import { FILES_MAX, type FileLine, shortDigest } from '../../cache/step-account.ts';
import { display, fromBuffer } from '../../tree/byte-string.ts';
import type { NoteEntry } from './content-checksum.ts';

export interface FileNotes {
  readonly add: NoteEntry;
  /** undefined where there are none. */
  lines(): readonly FileLine[] | undefined;
}

/** Keeps the first FILES_MAX, and puts them into words when they are asked for: most steps are found in the cache, and tell nothing. */
export function openFileNotes(): FileNotes {
  const noted: Parameters<NoteEntry>[] = [];
  return {
    add(...entry) {
      if (noted.length < FILES_MAX) noted.push(entry);
    },
    lines: () => (noted.length === 0 ? undefined : noted.map(lineOf)),
  };
}

function lineOf([{ path, node }, content, xattrs]: Parameters<NoteEntry>): FileLine {
  const { type, mode, uid, gid, linkTarget, device } = node;
  const what = content?.slice(0, 16) ?? linkTarget ?? (device === undefined ? '' : `${device.major}:${device.minor}`);
  const attributes = xattrs.size === 0 ? '' : shortDigest([...xattrs].flatMap(([name, value]) => [name, fromBuffer(value)]));
  return [display(path), `${type} ${mode.toString(8)}`, `${uid}:${gid}`, what, attributes];
}
