import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { contentChecksum } from '../../../src/builder/execute/content-checksum.ts';
import { copyChanges } from '../../../src/builder/execute/copy-changes.ts';
import { findSource } from '../../../src/builder/execute/copy-sources.ts';
import { openDirectoryContext } from '../../../src/context/directory-context.ts';
import type { ByteString } from '../../../src/tree/byte-string.ts';
import type { FileTree } from '../../../src/tree/file-tree.ts';
import { memoryTree } from '../../tree/_memory-tree.ts';

/** How often a COPY of a directory with `count` files asks its context for something, by what it asks. */
async function questions(count: number): Promise<Map<string, number>> {
  const root = mkdtempSync(path.join(tmpdir(), 'tsbuild-many-'));
  mkdirSync(path.join(root, 'src'));
  for (let index = 0; index < count; index++) writeFileSync(path.join(root, 'src', `file-${index}`), '');
  using context = openDirectoryContext(root, undefined);
  const asked = new Map<string, number>();
  const counted: FileTree = new Proxy<FileTree>(context, {
    get: (tree, name: keyof FileTree) => (at: ByteString) => {
      asked.set(name, (asked.get(name) ?? 0) + 1);
      return tree[name](at);
    },
  });
  const sources = [findSource(counted, 'src' as ByteString)].flatMap((source) => source ?? []);
  await contentChecksum(counted, sources, { signal: new AbortController().signal });
  const plan = { from: counted, into: memoryTree({}), destination: '/app/', owner: undefined, chmod: undefined, createdNs: 0n };
  let files = 0;
  for (const change of copyChanges({ ...plan, sources })) files += change.kind === 'add' && change.node.type === 'file' ? 1 : 0;
  rmSync(root, { recursive: true });
  assert.equal(files, count);
  return asked;
}

test('X32 a COPY of ten times the files in one directory asks ten times as much, beyond what a listing keeps, too', async () => {
  const [few, many] = [await questions(1200), await questions(12_000)];
  assert.deepEqual(few.get('list'), many.get('list'));
  for (const name of ['stat', 'open', 'xattrs']) {
    const ratio = (many.get(name) ?? 0) / (few.get(name) ?? 0);
    assert.ok(ratio > 9 && ratio <= 10, `${name}: ${few.get(name)} and ${many.get(name)}`);
  }
});
