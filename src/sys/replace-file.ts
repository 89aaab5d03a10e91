/** A small file that becomes visible by a rename, and is not synced: for what may be gone after a crash of the machine. */
import { renameSync, writeFileSync } from 'node:fs';

/** One writer at a time: it is written beside the file under one name, and what a kill leaves there the next one takes. */
export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
