import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ContextFile, listContext } from '../../src/index.ts';
import { tsbuild } from './_tsbuild.ts';

let directory: string;

before(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-context-'));
  const files = {
    '.dockerignore': '# rules\n*.log\nnode_modules\n!node_modules/keep\nnone\n',
    Dockerfile: 'FROM scratch\n',
    'a.log': 'x'.repeat(50),
  };
  const more = { 'src/main': 'm'.repeat(2000), 'src/a.log': 'y', 'node_modules/big': 'b'.repeat(3000), 'node_modules/keep': 'k' };
  for (const [name, text] of Object.entries({ ...files, ...more })) {
    mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
    writeFileSync(path.join(directory, name), text);
  }
});
after(() => rmSync(directory, { recursive: true }));

describe('listContext()', () => {
  test('counts what the context holds, and what each line decides', async () => {
    const files: ContextFile[] = [];
    const listing = await listContext({ context: directory, onFile: (file) => files.push(file) });
    assert.deepEqual(
      files.map(({ path: file }) => file),
      ['.dockerignore', 'Dockerfile', 'node_modules/keep', 'src/a.log', 'src/main'],
    );
    assert.equal(listing.files, 5);
    assert.equal(
      listing.bytes,
      files.reduce((sum, { size }) => sum + size, 0),
    );
    assert.deepEqual(listing.lines, [
      { line: 2, text: '*.log', action: 'ignore', files: 1, bytes: 50 },
      { line: 3, text: 'node_modules', action: 'ignore', files: 1, bytes: 3000 },
      { line: 4, text: '!node_modules/keep', action: 'include', files: 1, bytes: 1 },
      { line: 5, text: 'none', action: 'ignore', files: 0, bytes: 0 },
    ]);
  });

  test('takes the ignore file of the Dockerfile, and says where there is none', async () => {
    writeFileSync(path.join(directory, 'Other.dockerignore'), '*\n');
    const own = await listContext({ context: directory, dockerfile: path.join(directory, 'Other') });
    assert.equal(own.files, 0);
    rmSync(path.join(directory, 'Other.dockerignore'));
    const none = await listContext({ context: path.join(directory, 'src') });
    assert.deepEqual([none.ignoreFile, none.lines, none.files], [undefined, [], 2]);
  });

  test('refuses a context that is not there', async () => {
    await assert.rejects(listContext({ context: path.join(directory, 'nowhere') }), { code: 'ERR_TSBUILD_CONTEXT_NOT_FOUND' });
  });
});

describe('tsbuild context', () => {
  test('shows the biggest files first, totals, and lines that keep out nothing', () => {
    const { code, stdout } = tsbuild(['context', directory]);
    assert.equal(code, 0);
    const lines = stdout.split('\n');
    assert.match(lines[0] ?? '', /^ +2.00kB {2}src\/main$/);
    assert.match(stdout, /^The context holds 5 files, /m);
    assert.match(stdout, /^ {2}line 3: node_modules {2}keeps out 1 file, 3.00kB$/m);
    assert.match(stdout, /^ {2}line 4: !node_modules\/keep {2}takes back 1 file, 1B$/m);
    assert.match(stdout, /^ {2}line 5: none {2}keeps out nothing$/m);
  });

  test('gives JSON, with every file where asked', () => {
    const { stdout } = tsbuild(['context', '--all', '--format', 'json', directory]);
    const { files, shown, lines } = JSON.parse(stdout) as { files: number; shown: ContextFile[]; lines: object[] };
    assert.deepEqual([files, shown.length, lines.length], [5, 5, 4]);
  });
});
