import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

test('removeTree() takes it that other processes remove the same tree at the same time', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-race-'));
  const module = new URL('../../src/sys/remove-tree.js', import.meta.url).href;
  // Everybody starts at the same moment, when all have loaded koffi.
  const script = `
    const { removeTree } = await import(${JSON.stringify(module)});
    removeTree(-100, '/nonexistent/tsbuild');
    while (Date.now() < Number(process.argv[1]));
    removeTree(-100, process.argv[2]);`;
  try {
    for (let round = 0; round < 3; round++) {
      const tree = path.join(directory, `tree-${round}`);
      for (let dir = 0; dir < 60; dir++) {
        mkdirSync(path.join(tree, `d${dir}`), { recursive: true });
        for (let file = 0; file < 20; file++) writeFileSync(path.join(tree, `d${dir}`, `f${file}`), '');
      }
      const start = String(Date.now() + 1500);
      await Promise.all([1, 2, 3].map(async () => await run(process.execPath, ['--input-type=module', '-e', script, start, tree])));
      assert.equal(existsSync(tree), false);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
