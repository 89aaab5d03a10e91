import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, closeSync, linkSync, lstatSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { openDirectoryContext } from '../../src/context/directory-context.ts';
import { parseIgnoreFile } from '../../src/context/ignore-file.ts';
import { type ByteString, fromText, join } from '../../src/tree/byte-string.ts';
import type { FileTree } from '../../src/tree/file-tree.ts';
import { makeDirectory } from './_tree.ts';

const ROOT = '' as ByteString;
/** Leaves its socket behind. */
const KILLED_SERVER = "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";

function walk(tree: FileTree, dir = ROOT): string[] {
  return [...tree.list(dir)].flatMap((name) => {
    const path = join(dir, name);
    return tree.stat(path)?.type === 'directory' ? [`${path}/`, ...walk(tree, path)] : [path];
  });
}

function readText(tree: FileTree, path: string): string {
  const fd = tree.open(fromText(path));
  try {
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

test('openDirectoryContext() reads files with mode, time and size, owned by 0:0', () => {
  using dir = makeDirectory({ 'a/file': 'hello' });
  chmodSync(`${dir.path}/a/file`, 0o4750);
  chownSync(`${dir.path}/a/file`, 1000, 1001);
  chmodSync(`${dir.path}/a/file`, 0o4750);
  utimesSync(`${dir.path}/a/file`, 5, 1234567890.5);
  using context = openDirectoryContext(dir.path, undefined);
  const node = context.stat(fromText('a/file'));
  assert.deepEqual(
    { ...node, ctimeNs: 0n },
    { type: 'file', mode: 0o4750, uid: 0, gid: 0, size: 5, mtimeNs: 1234567890500000000n, ctimeNs: 0n },
  );
  assert.equal(readText(context, 'a/file'), 'hello');
});

test('openDirectoryContext() leaves ignored paths out and says which line did it', () => {
  using dir = makeDirectory({ 'keep.txt': '', 'drop.log': '', 'node_modules/x/y.js': '', 'src/a.log': '', 'src/a.c': '' });
  using context = openDirectoryContext(dir.path, parseIgnoreFile('node_modules\n**/*.log'));
  assert.deepEqual(walk(context), ['keep.txt', 'src/', 'src/a.c']);
  assert.equal(context.stat(fromText('drop.log')), undefined);
  assert.equal(context.why(fromText('node_modules/x/y.js')), '.dockerignore line 1 ("node_modules")');
  assert.equal(context.why(fromText('src/a.log')), '.dockerignore line 2 ("**/*.log")');
  assert.equal(context.why(fromText('keep.txt')), undefined);
  assert.throws(() => context.open(fromText('drop.log')), { errno: 'ENOENT' });
});

test('openDirectoryContext() keeps an ignored directory only where something inside is taken back in', () => {
  using dir = makeDirectory({ 'a/b/keep.c': '', 'a/b/drop.h': '', 'a/x/drop.h': '', 'empty/b': undefined, file: '' });
  using context = openDirectoryContext(dir.path, parseIgnoreFile('*\n!**/*.c'));
  assert.deepEqual(walk(context), ['a/', 'a/b/', 'a/b/keep.c']);
  assert.equal(context.stat(fromText('a/x')), undefined);
  assert.equal(context.stat(fromText('a'))?.type, 'directory');
});

test('openDirectoryContext() never follows a link, at the end or on the way', () => {
  using outside = makeDirectory({ secret: 'secret' });
  using dir = makeDirectory({ out: `-> ${outside.path}`, file: `-> ${outside.path}/secret`, 'd/up': '-> ..' });
  using context = openDirectoryContext(dir.path, undefined);
  assert.equal(context.stat(fromText('out'))?.linkTarget, outside.path);
  assert.equal(context.stat(fromText('out/secret')), undefined);
  assert.equal(context.stat(fromText('d/up/file')), undefined);
  assert.throws(() => context.open(fromText('file')), { errno: 'ELOOP' });
  assert.throws(() => context.open(fromText('out/secret')), { errno: 'ENOENT' });
  assert.throws(() => [...context.list(fromText('out'))], { errno: 'ENOTDIR' });
});

test('openDirectoryContext() does not follow a directory that becomes a link between list and open', () => {
  using outside = makeDirectory({ file: 'secret' });
  using dir = makeDirectory({ 'd/file': 'inside' });
  using context = openDirectoryContext(dir.path, undefined);
  assert.deepEqual(walk(context), ['d/', 'd/file']);
  rmSync(`${dir.path}/d`, { recursive: true });
  execFileSync('ln', ['-s', outside.path, `${dir.path}/d`]);
  assert.throws(() => context.open(fromText('d/file')), { errno: 'ENOENT' });
});

test('openDirectoryContext() skips sockets, keeps fifos and refuses to open them as files', () => {
  using dir = makeDirectory({ file: '' });
  execFileSync('mkfifo', [`${dir.path}/fifo`]);
  spawnSync(process.execPath, ['-e', KILLED_SERVER, `${dir.path}/socket`]);
  assert.ok(lstatSync(`${dir.path}/socket`).isSocket());
  using context = openDirectoryContext(dir.path, undefined);
  assert.deepEqual(walk(context), ['fifo', 'file']);
  assert.equal(context.stat(fromText('socket')), undefined);
  assert.equal(context.stat(fromText('fifo'))?.type, 'fifo');
  assert.throws(() => context.open(fromText('fifo')), { code: 'ERR_TSBUILD_CONTEXT_CHANGED' });
});

test('openDirectoryContext() gives the names of one inode the same inode key', () => {
  using dir = makeDirectory({ one: 'x', alone: '' });
  linkSync(`${dir.path}/one`, `${dir.path}/two`);
  using context = openDirectoryContext(dir.path, undefined);
  const one = context.stat(fromText('one'));
  assert.ok(one?.inode);
  assert.equal(one.inode, context.stat(fromText('two'))?.inode);
  assert.equal(context.stat(fromText('alone'))?.inode, undefined);
});

test('openDirectoryContext() keeps names that are not UTF-8 and has no xattrs', () => {
  using dir = makeDirectory({});
  const name = Buffer.concat([Buffer.from(`${dir.path}/`), Buffer.from([0xff, 0x61])]);
  writeFileSync(name, 'bytes');
  using context = openDirectoryContext(dir.path, parseIgnoreFile('b*'));
  assert.deepEqual([...context.list(ROOT)], ['\xffa']);
  assert.equal(context.stat('\xffa' as ByteString)?.size, 5);
  writeFileSync(`${dir.path}/attributes`, '');
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'hi', `${dir.path}/attributes`]);
  assert.deepEqual(context.xattrs(fromText('attributes')), new Map());
});

test('openDirectoryContext() walks a tree deeper than the directories it keeps open', () => {
  const deep = Array.from({ length: 150 }, (_, index) => `d${index}`).join('/');
  using dir = makeDirectory({ [`${deep}/leaf.c`]: '', 'd0/z.h': '' });
  using context = openDirectoryContext(dir.path, parseIgnoreFile('*\n!**/*.c'));
  const paths = walk(context);
  assert.equal(paths.length, 151);
  assert.equal(paths.at(-1), `${deep}/leaf.c`);
});

test('openDirectoryContext() sees a change after the listing on the second look', () => {
  using dir = makeDirectory({ file: 'a' });
  using context = openDirectoryContext(dir.path, undefined);
  assert.equal([...context.list(ROOT)].length, 1);
  writeFileSync(`${dir.path}/file`, 'longer');
  context.stat(fromText('file'));
  assert.equal(context.stat(fromText('file'))?.size, 6);
});

test('openDirectoryContext() fails for a context that is no directory', () => {
  using dir = makeDirectory({ file: '' });
  assert.throws(() => openDirectoryContext(`${dir.path}/none`, undefined), { code: 'ERR_TSBUILD_CONTEXT_NOT_FOUND', message: /ENOENT/ });
  assert.throws(() => openDirectoryContext(`${dir.path}/file`, undefined), { code: 'ERR_TSBUILD_CONTEXT_NOT_FOUND', message: /ENOTDIR/ });
});
