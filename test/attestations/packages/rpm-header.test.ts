import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { rpmHeader } from '../../../src/attestations/packages/rpm-header.ts';

/** A header of these entries over `data`. */
function header(entries: readonly (readonly [tag: number, type: number, offset: number])[], data: Buffer): Buffer {
  const bytes = Buffer.alloc(8 + entries.length * 16);
  bytes.writeUInt32BE(entries.length, 0);
  bytes.writeUInt32BE(data.length, 4);
  for (const [i, entry] of entries.entries())
    for (const [j, value] of [...entry, 1].entries()) bytes.writeUInt32BE(value, 8 + i * 16 + j * 4);
  return Buffer.concat([bytes, data]);
}

test('rpmHeader() reads texts, numbers and the first of several languages', () => {
  const data = Buffer.from('bash\x001.0\x00Shell\x00Coque\x00\x00\x00\x00\x07');
  const entries = [
    [1000, 6, 0],
    [1001, 6, 5],
    [1004, 9, 9],
    [1003, 4, data.length - 4],
    [1000, 6, 5],
    [9999, 6, 0],
  ] as const;
  assert.deepEqual(rpmHeader(header(entries, data)), { name: 'bash', version: '1.0', summary: 'Shell', epoch: '7' });
});

test('rpmHeader() leaves out what leads out of the data, and refuses what is no header', () => {
  const data = Buffer.from('x\x00y');
  assert.deepEqual(
    rpmHeader(
      header(
        [
          [1000, 6, 2],
          [1001, 6, 99],
          [1003, 4, 1],
          [1014, 7, 0],
        ],
        data,
      ),
    ),
    {},
  );
  assert.equal(rpmHeader(Buffer.alloc(4)), undefined);
  assert.equal(rpmHeader(header([], data).subarray(0, 9)), undefined);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void rpmHeader(Buffer.from(bytes))));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(1000, 1003, 1004), fc.nat(10), fc.nat(40)), { maxLength: 10 }),
      fc.uint8Array({ maxLength: 30 }),
      (entries, bytes) => {
        for (const value of Object.values(rpmHeader(header(entries, Buffer.from(bytes))) ?? {})) assert.equal(typeof value, 'string');
      },
    ),
  );
});
