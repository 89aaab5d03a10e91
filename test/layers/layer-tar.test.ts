import assert from 'node:assert/strict';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeLayerTar } from '../../src/layers/layer-tar.ts';
import type { ByteString } from '../../src/tree/byte-string.ts';
import type { AddChange } from '../../src/tree/change.ts';

const MIB = 1 << 20;
const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-layer-tar-'));
after(() => rmSync(directory, { recursive: true }));

async function* only(change: AddChange): AsyncGenerator<AddChange> {
  yield change;
}

test('a read that fails while the receiver works is told when the receiver asks for more', async () => {
  const file = path.join(directory, 'large');
  writeFileSync(file, Buffer.alloc(3 * MIB, 1));
  const fd = openSync(file, 'r');
  let chunks = 0;
  const archive = writeLayerTar(
    only({
      kind: 'add',
      path: 'large' as ByteString,
      node: { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 3 * MIB, mtimeNs: 0n, ctimeNs: 0n },
      xattrs: new Map(),
      content: { kind: 'file', open: () => fd },
    }),
    {
      takeChunk() {
        // The first chunk is full, and the next read not begun: it finds a descriptor that is there and cannot be read.
        if (++chunks === 2) {
          closeSync(fd);
          assert.equal(openSync(file, constants.O_WRONLY), fd);
        }
        return Buffer.allocUnsafeSlow(MIB);
      },
    },
  );
  assert.equal((await archive.next()).value?.length, MIB);
  await sleep(20);
  await assert.rejects(archive.next(), { code: 'EBADF' });
});
