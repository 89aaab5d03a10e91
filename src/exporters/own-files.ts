/** Files of an image as this user can have them on this disk. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { milliseconds } from '../clock.ts';
import type { Emit } from '../events.ts';
import { idScope } from '../sys/ids.ts';
import { andMore } from '../text/and-more.ts';
import { type ByteString, display } from '../tree/byte-string.ts';
import type { AddChange } from '../tree/change.ts';

const SHOWN_MAX = 5;
const PAUSE_MS = 50;

/**
 * Root gets everything. An ordinary user gets files of their own, as docker's client writes them, without capabilities and lists of
 * access, and no devices; what is left out is told of.
 */
export async function* ownFiles(files: Iterable<AddChange>, emit: Emit): AsyncGenerator<AddChange> {
  const isRoot = idScope() === 'machine';
  const left: ByteString[] = [];
  const bared: ByteString[] = [];
  let pausedAt = milliseconds();
  for (const change of files) {
    // Files are copied by calls that nothing interrupts: here a signal is heard.
    if (milliseconds() - pausedAt > PAUSE_MS) {
      await nextTurn();
      pausedAt = milliseconds();
    }
    const { node } = change;
    if (!isRoot && (node.type === 'char' || node.type === 'block')) {
      left.push(change.path);
      continue;
    }
    const xattrs = [...change.xattrs].filter(([key]) => isRoot || key.startsWith('user.'));
    if (xattrs.length < change.xattrs.size) bared.push(change.path);
    yield { ...change, xattrs: new Map(xattrs), node: isRoot ? node : { ...node, uid: 0, gid: 0 } };
  }
  if (left.length > 0) emit({ kind: 'warning', message: `Left out of the output, since only root can make devices: ${shown(left)}` });
  if (bared.length > 0)
    emit({ kind: 'warning', message: `Left capabilities and ACLs out of the output, since its files are not root's: ${shown(bared)}` });
}

function shown(paths: readonly ByteString[]): string {
  return andMore(paths.slice(0, SHOWN_MAX).map(display), paths.length);
}
