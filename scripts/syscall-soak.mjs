#!/usr/bin/env node
/**
 * syscall-soak.mjs COUNT: so many system calls by way of koffi, with files that come and go, each answer compared with Node's own.
 * Best with MALLOC_PERTURB_ set and --expose-gc. TSBUILD_COMPILED is the directory of the compiled sources.
 */
import assert from 'node:assert/strict';
import { closeSync, lstatSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const compiled = path.resolve(process.env.TSBUILD_COMPILED ?? '.build');
const room = (name) => import(path.join(compiled, 'src/sys', name));
const [{ statAt, listDirectory }, { setXattrAt, getXattrAt, listXattrsAt, removeXattrAt }, entries, { openAt }, { makePipe }] =
  await Promise.all(['stat.js', 'xattr.js', 'entries.js', 'open.js', 'pipe.js'].map(room));
const count = Number(process.argv[2] ?? 1_000_000);
const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-soak-'));
const dir = openSync(directory, 'r');
try {
  let calls = 0;
  for (let round = 0; calls < count; round++) {
    const name = `f${round % 50}-${'n'.repeat(round % 200)}`;
    const file = path.join(directory, name);
    writeFileSync(file, name);
    const stat = statAt(dir, name);
    const truth = lstatSync(file, { bigint: true });
    assert.deepEqual(
      [stat.ino, BigInt(stat.size), BigInt(stat.mode), stat.mtimeNs, stat.ctimeNs, BigInt(stat.nlink)],
      [truth.ino, truth.size, truth.mode & 0o7777n, truth.mtimeNs, truth.ctimeNs, truth.nlink],
    );
    const value = Buffer.alloc(round % 900, round & 0xff);
    setXattrAt(dir, name, 'user.soak', value);
    assert.deepEqual(getXattrAt(dir, name, 'user.soak'), value);
    assert.deepEqual([...listXattrsAt(dir, name).keys()], ['user.soak']);
    removeXattrAt(dir, name, 'user.soak');
    assert.equal(statAt(dir, `${name}-not-there`), undefined);
    assert.throws(() => openAt(dir, `${name}-not-there`, 0), { errno: 'ENOENT' });
    entries.linkAt(dir, name, dir, `${name}.link`);
    entries.renameAt(dir, `${name}.link`, dir, `${name}.moved`);
    assert.equal(statAt(dir, `${name}.moved`).nlink, 2);
    assert.deepEqual(listDirectory(dir).map(String).sort(), readdirSync(directory).sort());
    entries.unlinkAt(dir, `${name}.moved`, 'file');
    entries.unlinkAt(dir, name, 'file');
    const pipe = makePipe();
    closeSync(pipe.read);
    closeSync(pipe.write);
    calls += 17;
    if (round % 500 === 0) globalThis.gc?.();
  }
  console.log(`${count} calls`);
} finally {
  closeSync(dir);
  rmSync(directory, { recursive: true, force: true });
}
