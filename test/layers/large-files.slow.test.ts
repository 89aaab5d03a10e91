import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeLayerTar } from '../../src/layers/layer-tar.ts';
import { encodeTarHeader } from '../../src/layers/tar-header.ts';
import type { Change } from '../../src/tree/change.ts';
import { b } from './_overlay.ts';

/** The largest number that the twelve bytes of a ustar header hold is one less than 8 GiB. */
const USTAR_MAX = 2 ** 33 - 1;

/** What a header says of a file of this size: in its own field, and in the extended header before it. */
function headers(size: number): { ustar: string; pax: string | undefined } {
  const none = { uid: 0, gid: 0, mtimeNs: 0n, major: 0, minor: 0, xattrs: new Map() };
  const bytes = encodeTarHeader({ ...none, path: b('f'), typeFlag: '0', mode: 0o644, linkPath: b(''), size });
  const isPax = bytes.toString('latin1', 156, 157) === 'x';
  const at = isPax ? 1024 : 0;
  const pax = isPax ? /^\d+ size=(\d+)\n/.exec(bytes.toString('latin1', 512, 1024))?.[1] : undefined;
  return { ustar: bytes.toString('latin1', at + 124, at + 135), pax };
}

test('X33 encodeTarHeader() tells sizes beyond 8 GiB in an extended header, and the largest before it in the field', () => {
  assert.deepEqual(headers(USTAR_MAX), { ustar: '77777777777', pax: undefined });
  for (const size of [USTAR_MAX + 1, USTAR_MAX + 2, 2 ** 40, 2 ** 53 - 1]) assert.equal(headers(size).pax, String(size));
});

test('X33 a file of 8 GiB and a byte is written in flat memory, with what stands at its end and what comes after it', async () => {
  const size = USTAR_MAX + 2;
  const zeros = Buffer.alloc(8 << 20);
  async function* content(): AsyncGenerator<Buffer> {
    for (let left = size - 3; left > 0; left -= zeros.length) yield zeros.subarray(0, Math.min(left, zeros.length));
    yield Buffer.from('end');
  }
  const node = { type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, ctimeNs: 0n } as const;
  const changes: Change[] = [
    { kind: 'add', path: b('big'), node: { ...node, size }, xattrs: new Map(), content: { kind: 'stream', chunks: content } },
    { kind: 'add', path: b('next'), node: { ...node, size: 0 }, xattrs: new Map(), content: { kind: 'bytes', bytes: Buffer.alloc(0) } },
  ];
  const before = process.memoryUsage().rss;
  let most = before;
  let bytes = 0;
  let end = Buffer.alloc(0);
  for await (const chunk of writeLayerTar(changes)) {
    bytes += chunk.length;
    most = Math.max(most, process.memoryUsage.rss());
    end = Buffer.concat([end, chunk.subarray(-4096)]).subarray(-4096);
  }
  // Three blocks of headers; the content, filled up; the next header; the end.
  assert.equal(bytes, 512 * (3 + Math.ceil(size / 512) + 1 + 2));
  assert.ok(end.includes('end') && end.includes('next'));
  const more = Math.round((most - before) / 2 ** 20);
  assert.ok(more < 256, `${more} MiB more`);
});
