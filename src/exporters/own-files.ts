/** Files of an image as this user can have them on this disk. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Emit } from '../events.ts';
import { idScope } from '../sys/ids.ts';
import { removeXattrAt, setXattrAt } from '../sys/xattr.ts';
import { type ByteString, display } from '../tree/byte-string.ts';
import type { AddChange } from '../tree/change.ts';

const ROOT = '' as ByteString;
const SHOWN_MAX = 5;
const PAUSE_MS = 50;

/**
 * Root gets everything. An ordinary user gets files of their own, as docker's client writes them, without capabilities, and no
 * devices, which are told of. Where the file system of `directory` has no attributes of users, the files have none.
 */
export async function* ownFiles(files: Iterable<AddChange>, directory: number, emit: Emit): AsyncGenerator<AddChange> {
  const isRoot = idScope() === 'machine';
  const hasUserXattrs = canSetUserXattrs(directory);
  const left: ByteString[] = [];
  let pausedAt = performance.now();
  for (const change of files) {
    // Files are copied by calls that nothing interrupts: here a signal is heard.
    if (performance.now() - pausedAt > PAUSE_MS) {
      await nextTurn();
      pausedAt = performance.now();
    }
    const { node } = change;
    if (!isRoot && (node.type === 'char' || node.type === 'block')) {
      left.push(change.path);
      continue;
    }
    const xattrs = [...change.xattrs].filter(([key]) => (key.startsWith('user.') ? hasUserXattrs : isRoot));
    yield { ...change, xattrs: new Map(xattrs), node: isRoot ? node : { ...node, uid: 0, gid: 0 } };
  }
  if (left.length > 0) emit({ kind: 'warning', message: `Left out of the output, since only root can make devices: ${shown(left)}` });
}

function canSetUserXattrs(directory: number): boolean {
  try {
    setXattrAt(directory, ROOT, 'user.tsbuild.probe', Buffer.alloc(0));
    removeXattrAt(directory, ROOT, 'user.tsbuild.probe');
    return true;
  } catch {
    return false;
  }
}

function shown(paths: readonly ByteString[]): string {
  const rest = paths.length - SHOWN_MAX;
  return `${paths.slice(0, SHOWN_MAX).map(display).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
