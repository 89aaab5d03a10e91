/** Where a file or directory lies that is put into the files of a step instead of being mounted, and to which it returns. */
import { closeSync, constants } from 'node:fs';
import path from 'node:path';
import { SyscallError } from '../../errors.ts';
import type { MountSpec } from '../../sandbox/container-spec.ts';
import { openAt, openDirectory, openInRoot } from '../../sys/open.ts';
import { listDirectory, type Stat, statAt } from '../../sys/stat.ts';
import { type ByteString, fromText } from '../../tree/byte-string.ts';

export interface Home {
  /** Open; whoever found the home closes it. */
  readonly parent: number;
  readonly name: ByteString;
  /** What tells it from other things of its name. */
  readonly stat: Stat;
}

const ROOT = '' as ByteString;
const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

/** The name of what is mounted, in the directory that it lies in. */
export function findHome(mount: Extract<MountSpec, { kind: 'bind' | 'file' }>): Home {
  const outside = openDirectory(fromText(path.dirname(mount.hostPath)));
  const name = fromText(path.basename(mount.hostPath));
  if (mount.kind === 'file' || mount.source === undefined) return homeAt(outside, name);
  try {
    return homeOfPart(openAt(outside, name, OPEN_DIRECTORY | constants.O_NOFOLLOW), mount.source);
  } finally {
    closeSync(outside);
  }
}

/** A directory in `root`, whatever links lead there. Closes `root`. */
function homeOfPart(root: number, source: string): Home {
  try {
    const part = openInRoot(root, fromText(source), OPEN_DIRECTORY);
    try {
      const parent = openAt(part, '..' as ByteString, OPEN_DIRECTORY);
      return homeAt(parent, nameIn(parent, part));
    } finally {
      closeSync(part);
    }
  } finally {
    closeSync(root);
  }
}

/** A directory has one name. */
function nameIn(parent: number, directory: number): ByteString {
  const stat = statAt(directory, ROOT);
  const name = [...listDirectory(parent)].find((each) => isSame(statAt(parent, each), stat));
  return name ?? ('' as ByteString);
}

export function isSame(a: Stat | undefined, b: Stat | undefined): boolean {
  return a !== undefined && a.ino === b?.ino && a.dev === b.dev;
}

function homeAt(parent: number, name: ByteString): Home {
  const stat = name === '' ? undefined : statAt(parent, name);
  if (stat !== undefined) return { parent, name, stat };
  closeSync(parent);
  throw new SyscallError('find', 'what is to be put into the files of a step', 'ENOENT');
}
