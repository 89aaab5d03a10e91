/** No program of Debian writes an ndb: the files are made here, as its description says. */
import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ndbBlobs } from '../../../src/attestations/packages/ndb-blobs.ts';
import { recordFile } from '../../../src/attestations/packages/record-file.ts';
import { temporaryDirectory } from '../../registry/_temporary.ts';

const directory = temporaryDirectory();
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));

/** One page of slots, then the blobs with header and tail, in blocks of 16 bytes. */
function makeNdb(blobs: readonly string[]): Buffer {
  const slots = Buffer.alloc(4096);
  slots.write('RpmP', 'latin1');
  slots.writeUInt32LE(1, 12);
  for (let at = 32; at < 4096; at += 16) slots.write('Slot', at, 'latin1');
  const parts = [slots];
  let block = 256;
  for (const [i, text] of blobs.entries()) {
    const body = Buffer.alloc(Math.ceil((16 + text.length + 12) / 16) * 16);
    body.write('BlbS', 'latin1');
    body.writeUInt32LE(i + 1, 4);
    body.writeUInt32LE(text.length, 12);
    body.write(text, 16);
    // Every second slot is free.
    const slot = 32 + i * 32;
    for (const [j, value] of [i + 1, block, body.length / 16].entries()) slots.writeUInt32LE(value, slot + 4 + j * 4);
    parts.push(body);
    block += body.length / 16;
  }
  return Buffer.concat(parts);
}

function blobsOf(bytes: Buffer): string[] {
  const file = path.join(directory, 'Packages.db');
  writeFileSync(file, bytes);
  const fd = openSync(file, 'r');
  try {
    return [...ndbBlobs(recordFile(fd, bytes.length))].map(String);
  } finally {
    closeSync(fd);
  }
}

test('ndbBlobs() reads the blobs of all slots that are taken', () => {
  const texts = ['first', 'x'.repeat(1000), ''];
  assert.deepEqual(blobsOf(makeNdb(texts)), texts);
  assert.deepEqual(blobsOf(makeNdb([])), []);
});

test('ndbBlobs() refuses what leads out of the file, to another blob, or to more than there is', () => {
  const changed = (place: number, value: number): Buffer => {
    const bytes = makeNdb(['one', 'two']);
    bytes.writeUInt32LE(value, place);
    return bytes;
  };
  assert.throws(() => blobsOf(changed(0, 0)), { message: 'it is no ndb of version 0' });
  assert.throws(() => blobsOf(changed(12, 0xffff_ffff)), { message: 'it has too many slots' });
  assert.throws(() => blobsOf(changed(12, 2)), { message: /cut off|a slot is none/ });
  assert.throws(() => blobsOf(changed(32 + 8, 0xffff_ffff)), { message: 'it is cut off' });
  assert.throws(() => blobsOf(changed(32 + 8, 258)), { message: 'a slot leads to no blob of its own' });
  assert.throws(() => blobsOf(changed(4096 + 12, 0xffff_ffff)), { message: 'its rows are longer than it is' });
});
