import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { parseFileMode } from '../../../src/builder/execute/file-mode.ts';
import type { FileNode } from '../../../src/tree/file-tree.ts';

function node(type: 'file' | 'directory', mode: number): FileNode {
  return { type, mode, uid: 0, gid: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n };
}

function changed(text: string, type: 'file' | 'directory', mode: number): number {
  const parsed = parseFileMode(text);
  return typeof parsed === 'function' ? parsed(node(type, mode)) : (parsed ?? mode);
}

const CHANGES = [
  'u=rwX,go=rX',
  'a+x',
  '+x',
  'go-w',
  'u+s',
  'g+s',
  '+t',
  'g=u',
  'o=g',
  'u=rw,g=r,o=',
  'a=r',
  'ug+rw-x',
  'u=rwx,g=u',
  '-s',
  'o+X',
  'ugo=rwx',
  'a-rwx,u+X',
];
const MODES = [0o000, 0o644, 0o755, 0o600, 0o711, 0o4755, 0o2750, 0o6777];

describe('parseFileMode()', () => {
  test('reads digits as the mode itself', () => {
    assert.equal(parseFileMode('644'), 0o644);
    assert.equal(parseFileMode('7777'), 0o7777);
    assert.equal(parseFileMode('0'), 0);
    assert.equal(parseFileMode(''), undefined);
  });

  test('changes files as chmod(1) does with umask 0', () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-mode-'));
    try {
      const file = path.join(directory, 'f');
      writeFileSync(file, '');
      for (const change of CHANGES) {
        for (const mode of MODES) {
          chmodSync(file, mode);
          execFileSync('sh', ['-c', 'umask 0; exec chmod "$0" "$1"', change, file]);
          assert.equal(
            changed(change, 'file', mode).toString(8),
            (statSync(file).mode & 0o7777).toString(8),
            `${change} of ${mode.toString(8)}`,
          );
        }
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('gives X to directories, and to files that somebody may execute', () => {
    assert.equal(changed('a=rX', 'directory', 0o700), 0o555);
    assert.equal(changed('a+X', 'file', 0o644), 0o644);
    assert.equal(changed('a+X', 'file', 0o744), 0o755);
  });

  test('keeps the sticky bit where only others are spoken of, as 4.4BSD does', () => {
    assert.equal(changed('o=r', 'file', 0o1777), 0o1774);
    assert.equal(changed('o+t', 'file', 0o644), 0o644);
    assert.equal(changed('u-t', 'file', 0o1777), 0o777);
  });

  for (const text of ['8', '00644', 'u', 'u+q', 'x+r', 'u+r,', ',', '+ug', 'u=gw', ' 644']) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseFileMode(text), { code: 'ERR_TSBUILD_DOCKERFILE_SYNTAX' });
    });
  }
});
