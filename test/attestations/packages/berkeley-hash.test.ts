/** Databases of db5.3_load, the program of Berkeley DB, and what comes of them when bytes are changed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { berkeleyValues } from '../../../src/attestations/packages/berkeley-hash.ts';
import { RecordError, recordFile } from '../../../src/attestations/packages/record-file.ts';
import { temporaryDirectory } from '../../registry/_temporary.ts';

const directory = temporaryDirectory();
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

/** As rpm's: keys are numbers of four bytes. */
function makeDatabase(page: number, values: readonly Buffer[], order = 1234): string {
  const file = path.join(directory, `${page}-${values.length}-${order}.db`);
  const header = `VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=${page}\ndb_lorder=${order}\nHEADER=END\n`;
  const pairs = values.map((value, i) => {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(i + 1);
    return ` ${key.toString('hex')}\n ${value.toString('hex')}\n`;
  });
  execFileSync('db5.3_load', [file], { input: `${header}${pairs.join('')}DATA=END\n` });
  return file;
}

function valuesOf(file: string): Buffer[] {
  const size = readFileSync(file).length;
  const fd = openSync(file, 'r');
  try {
    return [...berkeleyValues(recordFile(fd, size))];
  } finally {
    closeSync(fd);
  }
}

const hex = (values: readonly Buffer[]): string[] => values.map((value) => value.toString('hex')).sort();

test('berkeleyValues() reads what db5.3_load wrote: short and long values, both orders of bytes', () => {
  for (const [page, count, bytes, order] of [
    [512, 300, 2000, 1234],
    [4096, 400, 60_000, 1234],
    [4096, 2000, 300, 4321],
    [65_536, 60, 300_000, 1234],
  ] as const) {
    const values = Array.from({ length: count }, (_, i) => randomBytes(1 + ((i * 7919) % bytes)));
    assert.deepEqual(hex(valuesOf(makeDatabase(page, values, order))), hex(values), `pages of ${page}`);
  }
});

test('berkeleyValues() ends with an error of its own, and soon, whatever is in the file', () => {
  const whole = readFileSync(
    makeDatabase(
      512,
      Array.from({ length: 200 }, (_, i) => randomBytes(1 + i * 10)),
    ),
  );
  const file = path.join(directory, 'changed.db');
  let failures = 0;
  for (let round = 0; round < 400; round++) {
    const bytes = Buffer.from(whole.subarray(0, round % 10 === 0 ? Math.floor(Math.random() * whole.length) : whole.length));
    for (let i = 0; i < 8 && bytes.length > 0; i++) {
      const place = Math.floor((Math.random() * whole.length) / 512) * 512 + Math.floor(Math.random() * 40);
      bytes[Math.min(bytes.length - 1, place)] = Math.floor(Math.random() * 256);
    }
    writeFileSync(file, bytes);
    const startedAt = performance.now();
    try {
      valuesOf(file);
    } catch (error) {
      assert.ok(error instanceof RecordError, String(error));
      failures++;
    }
    assert.ok(performance.now() - startedAt < 2000);
  }
  assert.ok(failures > 20, `only ${failures} of them were noticed`);
});

test('berkeleyValues() bears a chain that leads to itself, and a value that is longer than the file', () => {
  const whole = readFileSync(makeDatabase(512, [randomBytes(5000)]));
  const pages = Array.from({ length: whole.length / 512 }, (_, i) => i);
  const overflow = pages.find((page) => whole[page * 512 + 25] === 7) ?? 0;
  const loop = Buffer.from(whole);
  loop.writeUInt32LE(overflow, overflow * 512 + 16);
  const file = path.join(directory, 'loop.db');
  writeFileSync(file, loop);
  assert.equal(valuesOf(file)[0]?.length, 5000, 'it ends with the value');
  loop.writeUInt16LE(0, overflow * 512 + 22);
  writeFileSync(file, loop);
  assert.throws(() => valuesOf(file), { message: 'a chain of pages is broken' });
  const long = Buffer.from(whole);
  const item = long.indexOf(Buffer.from([0x88, 0x13, 0, 0]));
  long.writeUInt32LE(0xffff_ffff, item);
  writeFileSync(file, long);
  assert.throws(() => valuesOf(file), { message: 'its rows are longer than it is' });
});
