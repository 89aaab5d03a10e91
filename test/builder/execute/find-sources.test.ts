import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { copyChanges } from '../../../src/builder/execute/copy-changes.ts';
import { walkSource } from '../../../src/builder/execute/copy-sources.ts';
import { findSources, type Selection } from '../../../src/builder/execute/find-sources.ts';
import { fromText } from '../../../src/tree/byte-string.ts';
import { memoryTree } from '../../tree/_memory-tree.ts';

const TREE = memoryTree({
  'a.txt': { content: 'a' },
  'b.md': { content: 'b' },
  dir: { mode: 0o750 },
  'dir/x': { content: 'x' },
  'dir/sub': { mode: 0o700 },
  'dir/sub/y': { content: 'y' },
  other: { mode: 0o711 },
  'other/x': { content: 'o' },
  alias: { type: 'symlink', linkTarget: fromText('dir') },
  dangling: { type: 'symlink', linkTarget: fromText('nowhere') },
  Dockerfile: { content: '' },
});

const find = (paths: readonly string[], flags: Partial<Selection> = {}) =>
  findSources(TREE, { paths, layout: 'flat', exclude: [], missing: 'error', ...flags }, () => 'not here');

/** Everything that lands, below the destination. */
async function landed(paths: readonly string[], flags: Partial<Selection> = {}): Promise<string[]> {
  const plan = { from: TREE, into: memoryTree({}), destination: '/', owner: undefined, chmod: undefined, createdNs: 0n };
  return [...copyChanges({ ...plan, sources: await find(paths, flags) })].flatMap(({ path }) => (path === '' ? [] : path));
}

/** What a source gives, relative to it. */
async function given(path: string, exclude: readonly string[]): Promise<string[]> {
  const sources = await find([path], { exclude });
  return sources.flatMap((source) => [...walkSource(TREE, source)].map(({ relative }) => relative));
}

describe('findSources() with --exclude', () => {
  for (const [patterns, expected] of [
    [['x'], ['', 'sub', 'sub/y']],
    [['dir/x'], ['', 'sub', 'sub/y', 'x']],
    [['**/y'], ['', 'sub', 'x']],
    [['sub'], ['', 'x']],
    [['*'], ['']],
    [
      ['*', '!sub/y'],
      ['', 'sub', 'sub/y'],
    ],
    [['*', '!sub/none'], ['']],
    [['/x'], ['', 'sub', 'sub/y', 'x']],
    [
      ['#x', ''],
      ['', 'sub', 'sub/y', 'x'],
    ],
  ] as const) {
    test(`takes ${JSON.stringify(patterns)} out of a directory`, async () => assert.deepEqual(await given('dir', patterns), expected));
  }

  test('keeps a file that is named itself', async () => assert.deepEqual(await given('a.txt', ['a.txt', '*']), ['']));
  test('matches whole paths where sources keep their place', async () => {
    assert.deepEqual(await landed(['**/x'], { layout: 'parents', exclude: ['dir/x'] }), ['other', 'other/x']);
    assert.deepEqual(await landed(['dir'], { layout: 'parents', exclude: ['dir/sub'] }), ['dir', 'dir/x']);
  });
  test('refuses a malformed pattern', async () => {
    await assert.rejects(find(['dir'], { exclude: ['a['] }), { code: 'ERR_TSBUILD_DOCKERFILE_SYNTAX', message: /"a\[" of --exclude/ });
  });
});

describe('findSources() with --parents', () => {
  for (const [source, expected] of [
    ['a.txt', ['a.txt']],
    ['dir/sub/y', ['dir', 'dir/sub', 'dir/sub/y']],
    ['./dir//x', ['dir', 'dir/x']],
    ['dir/./sub/y', ['sub', 'sub/y']],
    ['*/./x', ['x', 'x', 'x']],
    ['**/x', ['dir', 'dir/x', 'other', 'other/x']],
    ['dir/**', ['dir', 'dir/sub', 'dir/sub/y', 'dir/x']],
    ['alias', ['alias']],
    ['alias/x', ['alias', 'alias/x']],
    ['none/*', []],
    ['none/./*', []],
  ] as const) {
    test(`takes ${source} to its place`, async () => assert.deepEqual(await landed([source], { layout: 'parents' }), expected));
  }
  for (const missing of ['none', 'a.txt/x', 'none/./x', 'dir/./none']) {
    test(`refuses ${missing}, which is not there`, async () => {
      await assert.rejects(find([missing], { layout: 'parents' }), { code: 'ERR_TSBUILD_CONTEXT_PATH_NOT_FOUND' });
    });
  }
});

describe('findSources() where a path is missing', () => {
  for (const [path, message] of [
    ['Dockerfil', 'Cannot copy "Dockerfil": not here (did you mean Dockerfile?)'],
    ['dri/x', 'Cannot copy "dri/x": not here (did you mean dir/x?)'],
    ['dri/none', 'Cannot copy "dri/none": not here (did you mean dir?)'],
    ['dir/sub/z', 'Cannot copy "dir/sub/z": not here'],
    ['A.TXT', 'Cannot copy "A.TXT": not here (did you mean a.txt?)'],
    ['a.txt/x', 'Cannot copy "a.txt/x": not here'],
    ['dang*', 'Cannot copy "dangling": not here'],
  ] as const) {
    test(`says so of ${path}`, async () => await assert.rejects(find([path]), { message }));
  }
  test('leaves it out with --if-exists', async () => {
    const names = (await find(['none', 'a.txt', 'none/./x'], { missing: 'skip' })).map(({ path }) => path);
    assert.deepEqual(names, ['a.txt']);
    assert.deepEqual(await find(['none/x'], { missing: 'skip', layout: 'parents' }), []);
  });
});
