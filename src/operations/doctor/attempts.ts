/** What is really tried, as syscall programs: they run in a child, in namespaces of its own, and leave nothing. */
import { changeMount, cloneMount, newFileSystem } from '../../sandbox/file-operations.ts';
import type { Operation } from '../../sys/syscall-program.ts';
import { type Attempt, tryProgram } from '../../sys/try-program.ts';
import { type Asker, isRoot } from './finding.ts';

const AT_FDCWD = -100;
const CLONE_NEWNS = 0x00020000;
const CLONE_NEWUSER = 0x10000000;
const CLONE_NEWNET = 0x40000000;
const MS_PRIVATE = 1 << 18;
const MS_REC = 0x4000;
const O_WRONLY_CLOEXEC = 0o2000001;
const NOBODY = 65534;

const MAKE_PRIVATE: Operation = {
  syscall: 'mount',
  arguments: [0, { text: '/' }, 0, MS_REC | MS_PRIVATE, 0],
  subject: '/ apart from the host',
};

/** New mounts by descriptors: fsopen, fsmount, open_tree, mount_setattr. */
export async function tryMounts(asker: Asker): Promise<Attempt> {
  return await tryProgram([MAKE_PRIVATE, ...mountsByDescriptor()], namespacesFor(asker));
}

function mountsByDescriptor(): Operation[] {
  return [
    ...newFileSystem({ type: 'tmpfs', attributes: ['nosuid', 'nodev'], as: 'made' }),
    changeMount({ result: 'made' }, { attributes: ['ro'], subject: 'a tmpfs' }),
    ...cloneMount({ dir: AT_FDCWD, path: '/dev/null', tree: 'this mount', attributes: ['nodev'], as: 'cloned', subject: '/dev/null' }),
  ];
}

/** A process that becomes an ordinary user, as far as it is not one, in a user namespace with one id. */
export async function tryUserNamespace(asker: Asker): Promise<Attempt> {
  const become: Operation[] = isRoot(asker)
    ? [
        { syscall: 'setresgid', arguments: [NOBODY, NOBODY, NOBODY], subject: String(NOBODY) },
        { syscall: 'setresuid', arguments: [NOBODY, NOBODY, NOBODY], subject: String(NOBODY) },
      ]
    : [];
  const enter: Operation = { syscall: 'unshare', arguments: [CLONE_NEWUSER], subject: 'the user namespace' };
  // Some systems let a namespace be made, and then nothing be done in it (kernel.apparmor_restrict_unprivileged_userns).
  const use: Operation = { syscall: 'unshare', arguments: [CLONE_NEWNS | CLONE_NEWNET], subject: 'mounts and network' };
  return await tryProgram([...become, enter, use, MAKE_PRIVATE], 0);
}

/** An overlay as an ordinary user has it: in a user namespace, upper directory and all on a tmpfs, marks in user.*. */
export async function tryUserOverlay(asker: Asker): Promise<Attempt> {
  const id = String(asker.uid);
  const program = [
    ...writeFile('/proc/self/setgroups', 'deny'),
    ...writeFile('/proc/self/gid_map', `0 ${process.getgid?.() ?? id} 1`),
    ...writeFile('/proc/self/uid_map', `0 ${id} 1`),
    MAKE_PRIVATE,
    mount('tmpfs', '/tmp', ''),
    ...['lower', 'upper', 'work', 'merged'].map(
      (name): Operation => ({ syscall: 'mkdirat', arguments: [AT_FDCWD, { text: `/tmp/${name}` }, 0o700], subject: name }),
    ),
    mount('overlay', '/tmp/merged', 'userxattr,lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work'),
  ];
  return await tryProgram(program, CLONE_NEWUSER | CLONE_NEWNS);
}

function writeFile(path: string, text: string): Operation[] {
  return [
    { syscall: 'openat', arguments: [AT_FDCWD, { text: path }, O_WRONLY_CLOEXEC], subject: path, as: path },
    {
      syscall: 'write',
      arguments: [{ result: path }, { bytes: Buffer.from(text).toString('base64') }, text.length],
      subject: path,
    },
  ];
}

function mount(type: string, place: string, options: string): Operation {
  return {
    syscall: 'mount',
    arguments: [{ text: type }, { text: place }, { text: type }, 0, { text: options }],
    subject: `${type} on ${place}`,
  };
}

/** Root makes mounts in its own user namespace, everybody else in one of theirs. */
function namespacesFor(asker: Asker): number {
  return asker.capabilities.includes('CAP_SYS_ADMIN') ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER;
}

/** `works`, or which call was refused and how. */
export function attemptText(attempt: Attempt): string {
  switch (attempt.outcome) {
    case 'works':
      return 'works';
    case 'untried':
      return 'not tried: our machine code cannot run here';
    case 'refused':
      return `${attempt.what}: ${attempt.errno}`;
  }
}
