/** Databases of the program sqlite3, and what comes of them when bytes are changed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { RecordError, recordFile } from '../../../src/attestations/packages/record-file.ts';
import { type SqliteValue, sqliteRows } from '../../../src/attestations/packages/sqlite-table.ts';
import { temporaryDirectory } from '../../registry/_temporary.ts';

const directory = temporaryDirectory();
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

function sqlite(file: string, sql: string): string {
  return execFileSync('sqlite3', [file], { input: sql, encoding: 'utf8', maxBuffer: 1 << 28 });
}

function rowsOf(file: string, table: string): SqliteValue[][] {
  const bytes = readFileSync(file).length;
  const fd = openSync(file, 'r');
  try {
    return [...sqliteRows(recordFile(fd, bytes), table)];
  } finally {
    closeSync(fd);
  }
}

/** `rows` blobs of up to `bytes`, in pages of `page`, some deleted again. */
function makeDatabase(page: number, rows: number, bytes: number): string {
  const file = path.join(directory, `${page}-${rows}.sqlite`);
  sqlite(
    file,
    `PRAGMA page_size=${page}; CREATE TABLE Other(x); INSERT INTO Other VALUES (1);
     CREATE TABLE Packages(hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
     INSERT INTO Packages(blob) SELECT randomblob(abs(random()) % ${bytes} + 1) FROM n;
     DELETE FROM Packages WHERE hnum % 7 = 0;`,
  );
  return file;
}

test('sqliteRows() reads what sqlite3 reads: many pages, pages of several sizes, long rows', () => {
  for (const [page, rows, bytes] of [
    [512, 700, 3000],
    [4096, 3000, 200],
    [4096, 60, 300_000],
    [65_536, 40, 200_000],
  ] as const) {
    const file = makeDatabase(page, rows, bytes);
    const expected = sqlite(file, 'SELECT hex(blob) FROM Packages ORDER BY hnum;').trim().split('\n');
    const found = rowsOf(file, 'Packages').map(([, blob]) => (Buffer.isBuffer(blob) ? blob.toString('hex').toUpperCase() : ''));
    assert.ok(expected.length > 30);
    assert.deepEqual(found, expected, `pages of ${page}`);
  }
});

test('sqliteRows() knows numbers, texts and nothing', () => {
  const file = path.join(directory, 'values.sqlite');
  sqlite(file, "CREATE TABLE t(a, b, c, d, e); INSERT INTO t VALUES (0, 1, -2, 'text', NULL), (127, 70000, -5000000000, x'00ff', 1);");
  const text = Buffer.from('text');
  assert.deepEqual(rowsOf(file, 't'), [
    [0, 1, -2, text, null],
    [127, 70_000, -5_000_000_000, Buffer.from([0, 255]), 1],
  ]);
  assert.deepEqual(rowsOf(file, 'none'), []);
});

test('sqliteRows() ends with an error of its own, and soon, whatever is in the file', () => {
  const whole = readFileSync(makeDatabase(512, 300, 2000));
  const file = path.join(directory, 'changed.sqlite');
  let seed = 42;
  const random = (limit: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((seed / 2 ** 32) * limit);
  };
  let failures = 0;
  for (let round = 0; round < 400; round++) {
    const bytes = Buffer.from(whole.subarray(0, round % 10 === 0 ? random(whole.length) : whole.length));
    // Headers and pointers are where pages begin.
    for (let i = 0; i < 8 && bytes.length > 0; i++)
      bytes[Math.min(bytes.length - 1, random(whole.length / 512) * 512 + random(40))] = random(256);
    writeFileSync(file, bytes);
    const startedAt = performance.now();
    try {
      rowsOf(file, 'Packages');
    } catch (error) {
      assert.ok(error instanceof RecordError, String(error));
      failures++;
    }
    assert.ok(performance.now() - startedAt < 2000);
  }
  assert.ok(failures > 20, `only ${failures} of them were noticed`);
});

test('sqliteRows() bears a page that leads to itself, and a row that is longer than the file', () => {
  const database = makeDatabase(512, 299, 2000);
  const whole = readFileSync(database);
  const file = path.join(directory, 'loop.sqlite');
  const root = Number(sqlite(database, "SELECT rootpage FROM sqlite_schema WHERE name = 'Packages';"));
  const loop = Buffer.from(whole);
  assert.equal(loop[(root - 1) * 512], 5, 'the table has pages of pages');
  loop.writeUInt32BE(root, (root - 1) * 512 + 8);
  writeFileSync(file, loop);
  assert.throws(() => rowsOf(file, 'Packages'), { message: 'a page is in its tree twice' });
  const long = Buffer.from(whole);
  let leaf = root;
  while (long[(leaf - 1) * 512] === 5) leaf = long.readUInt32BE((leaf - 1) * 512 + 8);
  const place = (leaf - 1) * 512 + long.readUInt16BE((leaf - 1) * 512 + 8);
  long.set([0xff, 0xff, 0xff, 0x7f], place);
  writeFileSync(file, long);
  assert.throws(() => rowsOf(file, 'Packages'), { message: 'its rows are longer than it is' });
});
