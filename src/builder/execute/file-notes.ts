/** What a checksum saw of each file, for telling later which one changed. */
import { FILES_MAX, type FileLine, shortDigest } from '../../cache/step-account.ts';
import { display, fromBuffer } from '../../tree/byte-string.ts';
import type { NoteEntry } from './content-checksum.ts';

export interface FileNotes {
  readonly add: NoteEntry;
  /** Forgets what was noted. */
  start(): void;
  /** Whether notes were taken. */
  isFilled(): boolean;
  /** undefined where there are none. */
  lines(): readonly FileLine[] | undefined;
}

/** Keeps the first FILES_MAX. */
export function openFileNotes(): FileNotes {
  let lines: FileLine[] = [];
  let isFilled = false;
  return {
    add({ path, node: { type, mode, uid, gid, linkTarget, device } }, content, xattrs) {
      if (lines.length >= FILES_MAX) return;
      const what = content?.slice(0, 16) ?? linkTarget ?? (device === undefined ? '' : `${device.major}:${device.minor}`);
      const attributes = xattrs.size === 0 ? '' : shortDigest([...xattrs].flatMap(([name, value]) => [name, fromBuffer(value)]));
      lines.push([display(path), `${type} ${mode.toString(8)}`, `${uid}:${gid}`, what, attributes]);
    },
    start() {
      lines = [];
      isFilled = true;
    },
    isFilled: () => isFilled,
    lines: () => (lines.length === 0 ? undefined : lines),
  };
}
