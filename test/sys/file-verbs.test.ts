import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, lstatSync, mkdirSync, openSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { SyscallError, TsbuildError } from '../../src/errors.ts';
import { copyRange } from '../../src/sys/copy.ts';
import { linkAt, makeDirectoryAt, makeNodeAt, renameAt, symlinkAt, unlinkAt } from '../../src/sys/entries.ts';
import { errnoName } from '../../src/sys/errno.ts';
import { lockFile, unlockFile, waitForLock } from '../../src/sys/lock.ts';
import { setModeAt, setOwnerAt, setTimesAt, syncFileSystem } from '../../src/sys/metadata.ts';
import { AT_FDCWD, createAt, O_PATH, openAt, openBeneath, openDirectory, openInRoot } from '../../src/sys/open.ts';
import { removeTree } from '../../src/sys/remove-tree.ts';
import { listDirectory, readLinkAt, statAt } from '../../src/sys/stat.ts';
import { getXattrAt, imageXattrsAt, listXattrsAt, removeXattrAt, setXattrAt } from '../../src/sys/xattr.ts';
import { fromText } from '../../src/tree/byte-string.ts';
import { b, temporaryDirectory } from './_directory.ts';

const root = temporaryDirectory();
const dir = openDirectory(fromText(root));

function isErrno(errno: string) {
  return (error: unknown) => error instanceof SyscallError && error.errno === errno;
}

test('errnoName() knows the names of man pages', () => {
  assert.equal(errnoName(2), 'ENOENT');
  assert.equal(errnoName(11), 'EAGAIN');
  assert.equal(errnoName(117), 'EUCLEAN');
  assert.equal(errnoName(9999), 'errno 9999');
});

test('statAt() agrees with lstat to the nanosecond and does not follow links', () => {
  writeFileSync(`${root}/stat`, 'hello');
  setOwnerAt(dir, b('stat'), 70_000, 4_294_967_294);
  setModeAt(dir, b('stat'), 0o6751);
  setTimesAt(dir, b('stat'), 1_000_000_000_123_456_789n);
  const real = lstatSync(`${root}/stat`, { bigint: true });
  const stat = statAt(dir, b('stat'));
  assert.deepEqual(
    { ...stat, ctimeNs: 0n },
    {
      type: 'file',
      mode: 0o6751,
      uid: 70_000,
      gid: 4_294_967_294,
      size: 5,
      diskBytes: Number(real.blocks) * 512,
      mtimeNs: 1_000_000_000_123_456_789n,
      ctimeNs: 0n,
      nlink: 1,
      dev: stat?.dev,
      ino: real.ino,
      rdevMajor: 0,
      rdevMinor: 0,
      isFixed: false,
    },
  );
  assert.equal(stat?.ctimeNs, real.ctimeNs);
  symlinkSync('stat', `${root}/stat-link`);
  assert.equal(statAt(dir, b('stat-link'))?.type, 'symlink');
  assert.equal(statAt(dir, b('')) ? statAt(dir, b(''))?.type : undefined, 'directory');
  assert.equal(statAt(dir, b('absent')), undefined);
  assert.equal(statAt(dir, b('stat/below')), undefined);
});

test('setTimesAt() sets times before 1970', () => {
  writeFileSync(`${root}/old`, '');
  setTimesAt(dir, b('old'), -1n);
  assert.equal(statAt(dir, b('old'))?.mtimeNs, -1n);
});

test('setOwnerAt(), setModeAt() and setTimesAt() never follow a link, and take a descriptor itself', () => {
  writeFileSync(`${root}/target`, '');
  const before = statAt(dir, b('target'));
  symlinkAt(b('target'), dir, b('to-target'));
  setOwnerAt(dir, b('to-target'), 5, 6);
  setTimesAt(dir, b('to-target'), 7n);
  assert.throws(() => setModeAt(dir, b('to-target'), 0o777), isErrno('ENOTSUP'));
  assert.deepEqual(statAt(dir, b('target')), before);
  assert.equal(statAt(dir, b('to-target'))?.uid, 5);
  const fd = openAt(dir, b('target'), O_PATH);
  setOwnerAt(fd, b(''), 8, 9);
  setModeAt(fd, b(''), 0o640);
  setTimesAt(fd, b(''), 10n);
  assert.deepEqual([statAt(fd, b(''))?.uid, statAt(dir, b('target'))?.mode, statAt(dir, b('target'))?.mtimeNs], [8, 0o640, 10n]);
  closeSync(fd);
});

test('listDirectory() gives every byte a name may hold, in byte order, each time anew', () => {
  makeDirectoryAt(dir, b('names'), 0o755);
  const fd = openAt(dir, b('names'), constants.O_RDONLY);
  const names = Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1)).filter((c) => c !== '/' && c !== '.');
  for (const name of names) makeNodeAt(fd, b(name), { type: 'file', mode: 0o644 });
  for (let i = 0; i < 5000; i++) makeNodeAt(fd, b(`long-name-to-fill-the-buffer-${'x'.repeat(200)}-${i}`), { type: 'file', mode: 0o600 });
  const all = listDirectory(fd);
  assert.equal(all.length, names.length + 5000);
  assert.deepEqual(all, [...all].sort());
  assert.deepEqual(listDirectory(fd), all);
  closeSync(fd);
});

test('createAt() makes what is not there, and takes neither a file nor a link that is', () => {
  const fd = createAt(dir, b('created'), 0o600);
  if (fd === undefined) assert.fail('there was nothing');
  closeSync(fd);
  assert.equal(statAt(dir, b('created'))?.mode, 0o600);
  assert.equal(createAt(dir, b('created'), 0o600), undefined);
  symlinkSync('nowhere', `${root}/dangling-new`);
  assert.equal(createAt(dir, b('dangling-new'), 0o600), undefined);
  assert.equal(statAt(dir, b('nowhere')), undefined);
  assert.throws(() => createAt(dir, b('missing/file'), 0o600), isErrno('ENOENT'));
});

test('names longer than the buffers that are used again and again reach the kernel whole', () => {
  assert.throws(() => statAt(dir, b('x'.repeat(4095))), isErrno('ENAMETOOLONG'));
  assert.throws(() => statAt(dir, b(`${'x/'.repeat(4000)}x`)), isErrno('ENAMETOOLONG'));
  const [from, to] = [b('f'.repeat(255)), b('t'.repeat(255))];
  writeFileSync(`${root}/${from}`, '');
  renameAt(dir, from, dir, to);
  assert.equal(statAt(dir, from), undefined);
  assert.equal(statAt(dir, to)?.type, 'file');
});

test('openBeneath() refuses links anywhere; openInRoot() resolves them inside', () => {
  makeDirectoryAt(dir, b('jail'), 0o755);
  const jail = openAt(dir, b('jail'), constants.O_RDONLY);
  makeDirectoryAt(jail, b('etc'), 0o755);
  writeFileSync(`${root}/jail/etc/passwd`, 'inside');
  symlinkAt(b('/etc'), jail, b('l'));
  symlinkAt(b('../../../../../../etc/passwd'), jail, b('up'));
  for (const path of ['l/passwd', 'up', '../stat', '/etc/passwd']) {
    assert.throws(() => openBeneath(jail, b(path), constants.O_RDONLY), SyscallError, path);
  }
  for (const path of ['l/passwd', 'up', '/../../etc/passwd']) {
    const fd = openInRoot(jail, b(path), constants.O_RDONLY);
    assert.equal(readFileSync(fd, 'utf8'), 'inside');
    closeSync(fd);
  }
  closeSync(jail);
});

test('openBeneath() opens paths beyond PATH_MAX, and removeTree() removes thousands of levels', () => {
  const name = b('d'.repeat(100));
  let at = openDirectory(fromText(root));
  makeDirectoryAt(at, b('deep'), 0o755);
  let path = 'deep';
  for (let i = 0, next = 'deep'; i < 1500; i++, next = name) {
    const below = openAt(at, b(next), constants.O_RDONLY);
    closeSync(at);
    at = below;
    makeDirectoryAt(at, name, 0o755);
    path += `/${name}`;
  }
  closeSync(at);
  closeSync(openBeneath(dir, b(path), constants.O_RDONLY));
  removeTree(dir, b('deep'));
  assert.equal(statAt(dir, b('deep')), undefined);
});

test('removeTree() leaves the targets of links alone and is content with nothing', () => {
  makeDirectoryAt(dir, b('keep'), 0o755);
  writeFileSync(`${root}/keep/x`, 'x');
  makeDirectoryAt(dir, b('rm'), 0o755);
  symlinkSync('../keep', `${root}/rm/link`);
  removeTree(dir, b('rm'));
  symlinkSync('keep', `${root}/rm`);
  removeTree(dir, b('rm'));
  removeTree(dir, b('rm'));
  assert.equal(readFileSync(`${root}/keep/x`, 'utf8'), 'x');
});

test('removeTree() removes what a step with all capabilities made immutable or append-only', (t) => {
  const tree = `${root}/fixed`;
  mkdirSync(`${tree}/d/e`, { recursive: true });
  for (const file of ['f', 'd/g', 'd/e/h']) writeFileSync(`${tree}/${file}`, 'x');
  try {
    execFileSync('chattr', ['+i', `${tree}/f`, `${tree}/d/g`, `${tree}/d`], { stdio: 'pipe' });
    execFileSync('chattr', ['+a', `${tree}/d/e`, `${tree}/d/e/h`], { stdio: 'pipe' });
  } catch (error) {
    t.skip(`the file system of ${root} has no such files: ${error}`);
    return;
  }
  removeTree(dir, b('fixed'));
  assert.equal(statAt(dir, b('fixed')), undefined);
});

test('makeNodeAt() makes devices and fifos and refuses numbers the kernel would cut', () => {
  makeNodeAt(dir, b('null'), { type: 'char', mode: 0o666, major: 4095, minor: 1_048_575 });
  makeNodeAt(dir, b('fifo'), { type: 'fifo', mode: 0o600 });
  const stat = statAt(dir, b('null'));
  assert.deepEqual([stat?.type, stat?.rdevMajor, stat?.rdevMinor], ['char', 4095, 1_048_575]);
  assert.equal(statAt(dir, b('fifo'))?.type, 'fifo');
  assert.throws(() => makeNodeAt(dir, b('x'), { type: 'block', mode: 0, major: 4096, minor: 0 }), isErrno('EINVAL'));
});

test('linkAt(), renameAt(), readLinkAt() and unlinkAt() do what their man pages say', () => {
  symlinkAt(b('\xff target'), dir, b('sym'));
  linkAt(dir, b('sym'), dir, b('sym2'));
  assert.equal(readLinkAt(dir, b('sym2')), '\xff target');
  assert.equal(statAt(dir, b('sym'))?.nlink, 2);
  assert.throws(() => renameAt(dir, b('sym'), dir, b('stat'), 'noreplace'), isErrno('EEXIST'));
  renameAt(dir, b('sym'), dir, b('moved'));
  unlinkAt(dir, b('moved'), 'file');
  assert.throws(() => unlinkAt(dir, b('moved'), 'file'), isErrno('ENOENT'));
  assert.throws(() => unlinkAt(dir, b('keep'), 'directory'), isErrno('ENOTEMPTY'));
});

test('a name with a NUL byte is refused before the kernel sees half of it', () => {
  assert.throws(() => statAt(dir, b('stat\0x')), TsbuildError);
  assert.throws(() => makeDirectoryAt(dir, b('a\0b'), 0o755), TsbuildError);
});

test('an error names the call, the place and the errno', () => {
  assert.throws(() => openAt(dir, b('no\nsuch'), constants.O_RDONLY), {
    message: `Cannot open ${root}/no\\x0asuch: ENOENT`,
    code: 'ERR_TSBUILD_SYSCALL_FAILED',
  });
});

test('setXattrAt() and listXattrsAt() carry raw bytes, on links and descriptors too', () => {
  writeFileSync(`${root}/attr`, '');
  symlinkSync('attr', `${root}/attr-link`);
  const value = Buffer.from([0, 0x80, 0xff, 10, 61]);
  setXattrAt(dir, b('attr'), 'user.bytes', value);
  setXattrAt(dir, b('attr'), 'user.empty', Buffer.alloc(0));
  setXattrAt(dir, b('attr-link'), 'trusted.on-link', value);
  const fd = openAt(dir, b('attr'), O_PATH);
  setXattrAt(fd, b(''), 'trusted.overlay.opaque', Buffer.from('y'));
  assert.deepEqual([...listXattrsAt(dir, b('attr')).keys()], ['trusted.overlay.opaque', 'user.bytes', 'user.empty']);
  assert.deepEqual(listXattrsAt(fd, b('')).get('user.bytes'), value);
  assert.deepEqual([...imageXattrsAt(dir, b('attr')).keys()], ['user.bytes', 'user.empty']);
  assert.deepEqual(listXattrsAt(dir, b('attr-link')), new Map([['trusted.on-link', value]]));
  removeXattrAt(dir, b('attr'), 'user.bytes');
  removeXattrAt(dir, b('attr'), 'user.bytes');
  assert.equal(getXattrAt(dir, b('attr'), 'user.bytes'), undefined);
  assert.deepEqual(getXattrAt(dir, b('attr'), 'user.empty'), Buffer.alloc(0));
  closeSync(fd);
});

test('copyRange() copies exactly size bytes, and says so when the source is shorter', () => {
  const content = Buffer.alloc(3_000_000, 'abc');
  writeFileSync(`${root}/source`, content);
  const copy = (name: string, size: number) => {
    const from = openSync(`${root}/source`, 'r');
    const to = openSync(`${root}/${name}`, 'w');
    try {
      copyRange(from, to, size);
    } finally {
      closeSync(from);
      closeSync(to);
    }
  };
  copy('whole', content.length);
  copy('part', 1_500_000);
  assert.ok(readFileSync(`${root}/whole`).equals(content));
  assert.ok(readFileSync(`${root}/part`).equals(content.subarray(0, 1_500_000)));
  assert.throws(() => copy('longer', content.length + 1), { code: 'ERR_TSBUILD_CONTEXT_CHANGED' });
});

test('copyRange() copies between file systems', { skip: statSync('/dev/shm').dev === statSync(root).dev }, () => {
  writeFileSync(`${root}/source`, 'across');
  const from = openSync(`${root}/source`, 'r');
  const to = openSync(`/dev/shm/tsbuild-copy-${process.pid}`, 'w+');
  copyRange(from, to, 6);
  assert.equal(readFileSync(`/dev/shm/tsbuild-copy-${process.pid}`, 'utf8'), 'across');
  closeSync(from);
  closeSync(to);
  unlinkAt(AT_FDCWD, b(`/dev/shm/tsbuild-copy-${process.pid}`), 'file');
});

test('lockFile() excludes other processes, and waitForLock() waits for them or for the signal', async () => {
  writeFileSync(`${root}/lock`, '');
  const fd = openSync(`${root}/lock`, 'r');
  const holder = spawn('flock', [`${root}/lock`, 'sh', '-c', 'echo held; read _'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  assert.equal(lockFile(fd, 'shared', 'try'), false);
  await assert.rejects(waitForLock(fd, 'exclusive', AbortSignal.timeout(50)));
  setTimeout(() => holder.stdin.end(), 50);
  await waitForLock(fd, 'exclusive', new AbortController().signal);
  assert.throws(() => execFileSync('flock', ['-n', `${root}/lock`, 'true']));
  unlockFile(fd);
  execFileSync('flock', ['-n', `${root}/lock`, 'true']);
  syncFileSystem(fd);
  closeSync(fd);
});
