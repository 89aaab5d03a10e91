/** A /dev for a step that gets none mounted: nodes as far as they can be made, links, and a directory for shared memory. */
import { closeSync, constants } from 'node:fs';
import { SyscallError } from '../../errors.ts';
import { DEVICES } from '../../sandbox/root-operations.ts';
import { makeDirectoryAt, makeNodeAt, symlinkAt, unlinkAt } from '../../sys/entries.ts';
import { idScope } from '../../sys/ids.ts';
import { setModeAt } from '../../sys/metadata.ts';
import { openAt } from '../../sys/open.ts';
import { type ByteString, fromText } from '../../tree/byte-string.ts';

const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** As in every container: they lead to a /proc that a chroot does not have, unless the image brings one. */
const LINKS = [
  ['/proc/self/fd', 'fd'],
  ['/proc/self/fd/0', 'stdin'],
  ['/proc/self/fd/1', 'stdout'],
  ['/proc/self/fd/2', 'stderr'],
] as const;

/** Fills the empty directory `name`. `onNoDevices` is told, once, why there are no nodes. */
export function makeDevices(parent: number, name: ByteString, onNoDevices: (why: string) => void): void {
  const dev = openAt(parent, name, OPEN_DIRECTORY);
  try {
    for (const [to, link] of LINKS) symlinkAt(fromText(to), dev, fromText(link));
    makeDirectoryAt(dev, fromText('shm'), 0o1777);
    setModeAt(dev, fromText('shm'), 0o1777);
    const why = makeNodes(dev);
    if (why !== undefined) onNoDevices(why);
  } finally {
    closeSync(dev);
  }
}

/** All of them or none: why not, in the same words each time. What is called null and is a file would take what is written to it. */
function makeNodes(dev: number): string | undefined {
  if (idScope() !== 'machine') return 'a user namespace makes no device nodes';
  const made: ByteString[] = [];
  try {
    for (const [text, device] of DEVICES) {
      const name = fromText(text);
      makeNodeAt(dev, name, { type: 'char', mode: 0o666, major: device >> 8, minor: device & 0xff });
      made.push(name);
      setModeAt(dev, name, 0o666);
    }
    // A mount that is nodev makes a node and opens none.
    closeSync(openAt(dev, fromText('null'), constants.O_RDWR | constants.O_NOCTTY));
    return undefined;
  } catch (error) {
    if (!(error instanceof SyscallError && (error.errno === 'EPERM' || error.errno === 'EACCES'))) throw error;
    for (const name of made) unlinkAt(dev, name, 'file');
    return made.length === DEVICES.length
      ? `none can be opened where the state directory lies (${error.errno})`
      : `mknod is refused (${error.errno})`;
  }
}
