import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AT_FDCWD, openDirectory } from '../../src/sys/open.ts';
import { removeTree } from '../../src/sys/remove-tree.ts';
import { type TreeFacts, treeFacts, treeFactsAside } from '../../src/sys/tree-facts.ts';
import { walkFacts } from '../../src/sys/tree-facts-walk.ts';
import { fromText } from '../../src/tree/byte-string.ts';
import { temporaryDirectory } from './_directory.ts';

const work = temporaryDirectory();
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(work, 'tree-'));
  for (const name of ['a', 'a/b', 'a/b/c', 'empty']) mkdirSync(join(root, name));
  for (const name of ['f', 'exactly8', 'a/longer than eight', 'a/b/ä']) writeFileSync(join(root, name), name);
  symlinkSync('f', join(root, 'a/link'));
});

const facts = (): TreeFacts => treeFacts(fromText(root));

function walked(): TreeFacts {
  const fd = openDirectory(fromText(root));
  try {
    return walkFacts(fd);
  } finally {
    closeSync(fd);
  }
}

test('treeFacts() finds the same as long as nothing changes, on this thread, on another one, and without machine code', async () => {
  const before = facts();
  assert.deepEqual(facts(), before);
  assert.deepEqual(await treeFactsAside(fromText(root)), before);
  assert.deepEqual(walked(), before);
});

const CHANGES: Readonly<Record<string, () => void>> = {
  'one byte of a file': () => writeFileSync(join(root, 'a/b/ä'), 'X', { flag: 'r+' }),
  'a length': () => truncateSync(join(root, 'f'), 0),
  'a mode': () => chmodSync(join(root, 'empty'), 0o711),
  'the mode of the root': () => chmodSync(root, 0o711),
  'a time of a link': () => lutimesSync(join(root, 'a/link'), 1, 1),
  'a name': () => renameSync(join(root, 'a/b/c'), join(root, 'a/b/d')),
  'another name': () => closeSync(openSync(join(root, 'empty/new'), 'w')),
  'a name less': () => rmSync(join(root, 'exactly8')),
};

for (const [what, change] of Object.entries(CHANGES)) {
  test(`treeFacts() finds other numbers after a change of ${what}`, async () => {
    const before = facts();
    await sleep(20);
    change();
    const after = facts();
    assert.notEqual(after.all, before.all);
    assert.notEqual(after.steady, before.steady);
    assert.deepEqual(walked(), after);
  });
}

test('treeFacts() has a number that a new hard link elsewhere leaves as it is, and one that it changes', async () => {
  const before = facts();
  await sleep(20);
  const other = mkdtempSync(join(work, 'other-'));
  linkSync(join(root, 'f'), join(other, 'f'));
  const after = facts();
  assert.equal(after.steady, before.steady);
  assert.notEqual(after.all, before.all);
});

test('treeFacts() does not mind that the directory itself is moved', async () => {
  const before = facts();
  await sleep(20);
  renameSync(root, `${root}.moved`);
  root = `${root}.moved`;
  assert.deepEqual(facts(), before);
});

test('treeFacts() looks through a thousand levels, and through more directories beside each other than its memory has room for at first', () => {
  const before = process.cwd();
  process.chdir(root);
  for (let level = 0; level < 1000; level++) {
    mkdirSync('deep');
    process.chdir('deep');
  }
  process.chdir(before);
  const deep = facts();
  for (let i = 0; i < 3000; i++) mkdirSync(join(root, 'empty', `${'n'.repeat(120)}${i}`));
  const wide = facts();
  assert.notEqual(wide.all, deep.all);
  assert.deepEqual(walked(), wide);
  removeTree(AT_FDCWD, fromText(root));
});

test('treeFacts() comes to its end though signals cut every second call short', async () => {
  const script = `import { treeFacts } from ${JSON.stringify(new URL('../../src/sys/tree-facts.js', import.meta.url).href)};
    const { all, steady } = treeFacts(${JSON.stringify(root)});
    console.log(all, steady);`;
  const strace = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=getdents64', '-e', 'inject=getdents64:error=EINTR:when=1+2'];
  const node = ['timeout', '30', process.execPath, '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)('strace', [...strace, ...node]);
  const { all, steady } = facts();
  assert.equal(stdout, `${all}n ${steady}n\n`);
});
