import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { contentChecksum } from '../../../src/builder/execute/content-checksum.ts';
import { baseKey, stepKey } from '../../../src/cache/cache-key.ts';
import { type ByteString, fromText, join } from '../../../src/tree/byte-string.ts';
import type { FileNode, FileTree } from '../../../src/tree/file-tree.ts';
import { seededRandom } from '../../end-to-end/_seeded-random.ts';

/** A node with what is in it; of `facts`, times and the inode are no part of what a COPY takes. */
interface Item {
  name: string;
  facts: FileNode;
  content: string;
  xattrs: [name: string, value: string][];
  below: Item[];
}

const PAIRS = Number(process.env['TSBUILD_TEST_PAIRS'] ?? 5000);
const SEED = Number(process.env['TSBUILD_TEST_SEED'] ?? 1);
/** Such that fields run into each other where their lengths do not count. */
const NAMES = [
  'a',
  'b',
  'c',
  'ab',
  'bc',
  '1:a',
  '0:',
  '2:ab1:c',
  ' ',
  '\n',
  '3',
  'file 420 0 0 1 ',
  'symlink 511 0 0 0 ',
  '19:symlink 511 0 0 0 ',
];
const TEXTS = ['', 'a', 'b', 'bc', 'ab', '0:', '1:a', 'a/b', '64:', 'user.a'];
const XATTRS = ['user.a', 'user.ab', 'user.symlink 511 0 0 0 ', 'security.capability'];
const TYPES = ['file', 'file', 'file', 'directory', 'directory', 'symlink', 'fifo', 'char'] as const;

class Choices {
  private readonly random: () => number;
  constructor(seed: number) {
    this.random = seededRandom(seed);
  }
  below(count: number): number {
    return Math.floor(this.random() * count);
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

function randomItem(from: Choices, depth: number): Item {
  const type = depth === 0 ? from.of(['file', 'symlink', 'fifo'] as const) : from.of(TYPES);
  const item: Item = {
    ...{ name: from.of(NAMES), content: type === 'file' ? from.of(TEXTS) : '', xattrs: [], below: [] },
    facts: { type, mode: from.of([0o644, 0o755, 0o4755]), uid: from.below(2), gid: from.below(2), size: 0, mtimeNs: 1n, ctimeNs: 1n },
  };
  if (from.below(4) === 0) item.xattrs.push([from.of(XATTRS), from.of(TEXTS)]);
  if (type === 'directory') item.below = randomList(from, depth - 1);
  return withType(item, from);
}

/** What only some types have. */
function withType(item: Item, from: Choices): Item {
  const { linkTarget: _link, device: _device, ...facts } = item.facts;
  if (facts.type === 'symlink') item.facts = { ...facts, linkTarget: fromText(from.of(TEXTS)) };
  else if (facts.type === 'char') item.facts = { ...facts, device: { major: from.below(3), minor: from.below(3) } };
  else item.facts = { ...facts, size: item.content.length };
  return item;
}

function randomList(from: Choices, depth: number): Item[] {
  const items = Array.from({ length: from.below(4) }, () => randomItem(from, depth));
  return [...new Map(items.map((item) => [item.name, item])).values()];
}

const allOf = (items: readonly Item[]): Item[] => items.flatMap((item) => [item, ...allOf(item.below)]);

/** Each makes one change, of which some are none, and some none that counts. */
const CHANGES: readonly ((item: Item, from: Choices, list: Item[]) => void)[] = [
  () => {},
  (item) => Object.assign(item, { facts: { ...item.facts, mtimeNs: 2n, ctimeNs: 3n, inode: '1:2' } }),
  (item, from) => rename(item, from.of(NAMES)),
  (item, from) => rename(item, item.name + from.of(NAMES)),
  (item, from) => Object.assign(item, { facts: { ...item.facts, mode: from.of([0o644, 0o600, 0o1755]) } }),
  (item, from) => Object.assign(item, { facts: { ...item.facts, uid: from.below(3) } }),
  (item, from) => Object.assign(item, { facts: { ...item.facts, gid: from.below(3) } }),
  (item, from) => void (item.facts.type === 'file' && withType(Object.assign(item, { content: from.of(TEXTS) }), from)),
  (item, from) => void withType(item, from),
  (item, from) =>
    void (item.below.length === 0 && withType(Object.assign(item, { content: '', facts: { ...item.facts, type: from.of(TYPES) } }), from)),
  (item, from) => Object.assign(item, { xattrs: [[from.of(XATTRS), from.of(TEXTS)]] }),
  (item, from) =>
    void item.below.push(...randomList(from, 0).filter(({ name }) => item.facts.type === 'directory' && !has(item.below, name))),
  (item) => void item.below.pop(),
  (item, from, list) => swap(item, from.of(list)),
  (item, _from, list) => shiftName(item, list),
  (item) => shiftAttribute(item),
];

function rename(item: Item, name: string): void {
  item.name = name;
}

/** Contents and attributes change places. */
function swap(one: Item, other: Item): void {
  [one.xattrs, other.xattrs] = [other.xattrs, one.xattrs];
  if (one.facts.type !== 'file' || other.facts.type !== 'file') return;
  [one.content, other.content] = [other.content, one.content];
  for (const item of [one, other]) item.facts = { ...item.facts, size: item.content.length };
}

/** The first letter of the name that follows a link becomes the last of where the link leads. */
function shiftName(item: Item, list: readonly Item[]): void {
  const next = list[list.indexOf(item) + 1];
  if (item.facts.type !== 'symlink' || next === undefined || next.name.length < 2) return;
  item.facts = { ...item.facts, linkTarget: `${item.facts.linkTarget}${next.name.slice(0, 1)}` as ByteString };
  next.name = next.name.slice(1);
}

/** The same of an attribute's value and its name. */
function shiftAttribute(item: Item): void {
  item.xattrs = item.xattrs.map(([name, value]) => [name + value.slice(0, 1), value.slice(1)]);
}

const has = (items: readonly Item[], name: string): boolean => items.some((item) => item.name === name);

/** Where two have one name, the second is none. */
function changed(items: readonly Item[], from: Choices): Item[] {
  const copy = structuredClone(items) as Item[];
  const list = allOf(copy);
  if (list.length > 0) from.of(CHANGES)(from.of(list), from, list);
  return unique(copy);
}

function unique(items: readonly Item[]): Item[] {
  const once = [...new Map(items.toReversed().map((item) => [item.name, item])).values()].reverse();
  for (const item of once) item.below = unique(item.below);
  return once;
}

/** What the language says that counts, in a form that JSON keeps apart. */
function canonical(items: readonly Item[]): unknown {
  return items
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, facts: { type, mode, uid, gid, size, linkTarget, device }, content, xattrs, below }) => [
      ...[name, type, mode, uid, gid, size, linkTarget ?? null, device ?? null],
      ...[type === 'file' ? content : null, xattrs, canonical(below)],
    ]);
}

const ROOT: FileNode = { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 0n, ctimeNs: 0n };
const DIGESTS = new Map(TEXTS.map((text) => [text, hash('sha256', text)]));

/** The key of a COPY of the whole tree, by the functions that make it; contents are known, as those of an unchanged context are. */
async function keyOf(items: readonly Item[]): Promise<string> {
  const found = new Map<string, Item>();
  const enter = (directory: ByteString, list: readonly Item[]): void => {
    for (const item of list) {
      const at = join(directory, fromText(item.name));
      found.set(at, item);
      enter(at, item.below);
    }
  };
  enter('' as ByteString, items);
  const tree: FileTree = {
    stat: (at) => (at === '' ? ROOT : found.get(at)?.facts),
    list: (at) => (at === '' ? items : (found.get(at)?.below ?? [])).map(({ name }) => fromText(name)).sort(),
    xattrs: (at) => new Map((found.get(at)?.xattrs ?? []).map(([name, value]) => [name, Buffer.from(value)])),
    open: (at) => assert.fail(`${at} is known`),
  };
  const known = { get: (at: string) => DIGESTS.get(found.get(at)?.content ?? ''), set: () => {} };
  const root = { path: '' as ByteString, node: ROOT, name: '' as ByteString };
  const sources = await contentChecksum(tree, [root], { known, signal: new AbortController().signal });
  return stepKey({ kind: 'copy', parent: baseKey([]), sources, destination: '/', cwd: '/', chown: '', chmod: '' });
}

test(`K3 the key of a COPY is equal for equal trees and for no others: ${PAIRS} pairs, and each tree with all before`, async () => {
  const from = new Choices(SEED);
  /** Key → digest of what it stands for, and back. */
  const [trees, keys] = [new Map<string, string>(), new Map<string, string>()];
  let equal = 0;
  for (let pair = 0; pair < PAIRS; pair++) {
    const one = randomList(from, 3);
    const pairKeys: string[] = [];
    for (const items of [one, changed(one, from)]) {
      const form = JSON.stringify(canonical(items));
      const [tree, key] = [hash('sha1', form), await keyOf(items)];
      assert.equal(trees.get(key) ?? tree, tree, `${form} has the key of another tree (seed ${SEED}, pair ${pair})`);
      assert.equal(keys.get(tree) ?? key, key, `${form} has two keys (seed ${SEED}, pair ${pair})`);
      trees.set(key, tree);
      keys.set(tree, key);
      pairKeys.push(key);
    }
    if (pairKeys[0] === pairKeys[1]) equal++;
  }
  assert.ok(equal > PAIRS / 20 && equal < (PAIRS * 3) / 4, `${equal} pairs are equal`);
  assert.ok(trees.size > PAIRS / 2, `${trees.size} trees`);
});
