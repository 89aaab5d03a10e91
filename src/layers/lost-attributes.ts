/** Attributes that files cannot have where they are written: told once for a layer or a step, by the first files and how many. */
import { statfsSync } from 'node:fs';
import { SyscallError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { setXattrAt } from '../sys/xattr.ts';
import { andMore } from '../text/and-more.ts';
import { type ByteString, display } from '../tree/byte-string.ts';
import type { Change } from '../tree/change.ts';
import type { FileNode, Xattrs } from '../tree/file-tree.ts';

/** Who hears of it. */
export interface LossTelling {
  readonly emit: Emit;
  /** What the files are of, such as `layer sha256:…`. */
  readonly of: string;
}

const REFUSALS: ReadonlySet<string> = new Set(['ENOTSUP', 'EPERM', 'E2BIG', 'ERANGE']);
const SHOWN_MAX = 5;
/** More than any attribute takes: xattr(7). */
const ROOM_BYTES = 1 << 20;
const HINT =
  'Linux has user.* attributes on files and directories only, and not every file system has all kinds and sizes of attributes; what chattr(1) sets is in no layer.';

export class LostAttributes {
  readonly #telling: LossTelling | undefined;
  readonly #shown: string[] = [];
  #count = 0;
  #last: ByteString | undefined;

  /** Where nobody hears of it, the first loss is an error. */
  constructor(telling: LossTelling | undefined) {
    this.#telling = telling;
  }

  /** Where a file is immutable or append-only. */
  noteFixed({ path, node }: { path: ByteString; node: FileNode }): void {
    if (node.isFixed === true && this.#telling !== undefined) this.#add(path, 'immutable or append-only');
  }

  /** Gives a name its extended attributes as far as it can have them. Throws SyscallError for whatever else goes wrong. */
  set(dir: number, name: ByteString, { path, node, xattrs }: { path: ByteString; node: FileNode; xattrs: Xattrs }): void {
    for (const [key, value] of xattrs) {
      try {
        // By what it stands for: without root, a file may stand for a device, and its layer is to be the same.
        if (!hasUserXattrs(node) && key.startsWith('user.')) throw new SyscallError(`set the attribute ${key} of`, display(path), 'EPERM');
        setXattrAt(dir, name, key, value);
      } catch (error) {
        if (this.#telling === undefined || !(error instanceof SyscallError) || !isRefusal(error, dir)) throw error;
        this.#add(path, `${display(key as ByteString)}: ${error.errno}`);
      }
    }
  }

  /** Once, when all files are written. */
  tell(): void {
    if (this.#count === 0) return;
    const files = andMore(this.#shown, this.#count);
    const message = `Left out attributes that ${this.#count} file${this.#count === 1 ? '' : 's'} of ${this.#telling?.of} cannot have here: ${files}`;
    this.#telling?.emit({ kind: 'warning', message, hint: HINT });
  }

  #add(path: ByteString, what: string): void {
    if (path === this.#last) return;
    this.#last = path;
    this.#count++;
    if (this.#shown.length < SHOWN_MAX) this.#shown.push(`/${display(path)} (${what})`);
  }
}

function hasUserXattrs({ type }: FileNode): boolean {
  return type === 'file' || type === 'directory';
}

/** ENOSPC: ext4 and btrfs say so of an attribute that is larger than a block. */
function isRefusal({ errno }: SyscallError, dir: number): boolean {
  if (errno !== 'ENOSPC') return REFUSALS.has(errno);
  const { bavail, bsize, files, ffree } = statfsSync(`/proc/self/fd/${dir}`);
  return bavail * bsize > ROOM_BYTES && (files === 0 || ffree > 0);
}

/** The changes as they are; afterwards tells of what no layer holds of their files. */
export function* tellLosses(changes: Iterable<Change>, telling: LossTelling): Generator<Change> {
  const lost = new LostAttributes(telling);
  for (const change of changes) {
    if (change.kind === 'add') lost.noteFixed(change);
    yield change;
  }
  lost.tell();
}
