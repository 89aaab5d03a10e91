/** An image as the corpus compares it: its config, its history, and its tree of files where that differs from the base's. */
import { createHash } from 'node:crypto';
import { readTarEntries, type TarEntry } from './_tar.ts';

/** Fields of an image config file that are compared or needed for it. */
export interface RawConfig {
  readonly author?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly history?: readonly { readonly created_by?: string; readonly empty_layer?: boolean; readonly comment?: string }[];
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

/** A whole image in memory; layers are uncompressed archives. */
export interface RawImage {
  readonly config: RawConfig;
  readonly layers: readonly Buffer[];
}

/** What lies in expected.json of a case that builds. */
export interface FlatImage {
  readonly author?: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Those of the base are left out; `(empty)` before what makes no layer. */
  readonly history: readonly string[];
  /** Absolute path → how it differs from the base. */
  readonly tree: Readonly<Record<string, FlatNode>>;
}

/** Such as `file 0644 0:0`; `gone` is what only the base has. */
export interface FlatNode {
  readonly is: string;
  readonly size?: number;
  /** Of short texts, else `sha256`. */
  readonly text?: string;
  readonly sha256?: string;
  readonly link?: string;
  /** First name of the same file. */
  readonly same?: string;
  readonly device?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
  /** Of files that are older than the corpus: times that a COPY kept. */
  readonly mtime?: number;
}

type Tree = Map<string, TarEntry>;

/** Seconds; what is younger was made while building. */
const YOUNG = 1_704_067_200;
const TEXT_MAX = 500;

/** Compares an image with the base if its first layer is the base's, else with nothing. */
export function flattenImage(image: RawImage, base: RawImage): FlatImage {
  const onBase = image.config.rootfs.diff_ids[0] === base.config.rootfs.diff_ids[0];
  const history = (image.config.history ?? []).slice(onBase ? (base.config.history ?? []).length : 0);
  const tree = differences(applyLayers(image.layers), onBase ? applyLayers(base.layers) : new Map());
  if (!onBase) delete tree['/'];
  // BuildKit leaves these mount points in the layer where the base has none; nothing of a mount is left by us.
  for (const stub of ['/dev', '/proc', '/sys']) if (tree[stub]?.is === 'dir 0755 0:0') delete tree[stub];
  return {
    ...(image.config.author === undefined ? {} : { author: image.config.author }),
    config: sortKeys(Object.fromEntries(Object.entries(image.config.config ?? {}).filter(([, value]) => !isVoid(value)))),
    history: history.map(({ created_by, empty_layer }) => `${empty_layer === true ? '(empty) ' : ''}${created_by}`),
    tree,
  };
}

/** The tree that an image's layers make together, by the rules of the OCI image-spec's layer.md. */
function applyLayers(layers: readonly Buffer[]): Tree {
  const tree: Tree = new Map();
  for (const layer of layers) {
    const entries = readTarEntries(layer);
    for (const { name } of entries) applyWhiteout(tree, name);
    for (const entry of entries) if (!baseName(entry.name).startsWith('.wh.')) applyEntry(tree, entry);
  }
  return tree;
}

function applyWhiteout(tree: Tree, name: string): void {
  const base = baseName(name);
  if (!base.startsWith('.wh.')) return;
  const parent = name.slice(0, name.length - base.length);
  if (base === '.wh..wh..opq') removeBelow(tree, parent);
  else {
    const victim = parent + base.slice('.wh.'.length);
    removeBelow(tree, `${victim}/`);
    if (!tree.delete(victim)) throw new Error(`whiteout of ${victim}, which no lower layer has`);
  }
}

function applyEntry(tree: Tree, entry: TarEntry): void {
  const { name } = entry;
  const parent = name.slice(0, Math.max(0, name.lastIndexOf('/')));
  if (parent !== '' && tree.get(parent)?.type !== 'dir') throw new Error(`${name}: ${parent} is no directory of any layer`);
  if (entry.type !== 'dir') removeBelow(tree, `${name}/`);
  if (entry.type !== 'hard') {
    tree.set(name, entry);
    return;
  }
  const target = tree.get(entry.link.replace(/^(\.?\/)+/, ''));
  if (target === undefined) throw new Error(`${name}: hard link to ${entry.link}, which is not there`);
  tree.set(name, target);
}

function removeBelow(tree: Tree, prefix: string): void {
  for (const name of tree.keys()) if (name !== '' && name.startsWith(prefix)) tree.delete(name);
}

function differences(tree: Tree, base: Tree): Record<string, FlatNode> {
  const [nodes, old] = [flatNodes(tree), flatNodes(base)];
  for (const [name, node] of old) {
    const now = nodes.get(name);
    if (now === undefined) nodes.set(name, { is: 'gone' });
    else if (JSON.stringify(now) === JSON.stringify(node)) nodes.delete(name);
  }
  // What lies in a directory that is gone needs no saying.
  const gone = new Set([...nodes].filter(([, { is }]) => is === 'gone').map(([name]) => name));
  for (const name of gone) if (gone.has(name.slice(0, name.lastIndexOf('/')))) nodes.delete(name);
  return sortKeys(Object.fromEntries(nodes));
}

function flatNodes(tree: Tree): Map<string, FlatNode> {
  const names = [...tree.keys()].sort();
  const first = new Map<TarEntry, string>();
  return new Map(
    names.map((name) => {
      const entry = tree.get(name) as TarEntry;
      const same = first.get(entry);
      if (same === undefined) first.set(entry, `/${name}`);
      return [`/${name}`, same === undefined ? flatNode(entry) : { is: 'hard link', same }];
    }),
  );
}

function flatNode({ type, mode, uid, gid, mtime, link, device, xattrs, content }: TarEntry): FlatNode {
  const is = type === 'link' ? `link ${uid}:${gid}` : `${type} ${mode.toString(8).padStart(4, '0')} ${uid}:${gid}`;
  return {
    is,
    ...(type === 'file' ? { size: content.length, ...flatContent(content) } : {}),
    ...(type === 'link' ? { link } : {}),
    ...(type === 'char' || type === 'block' ? { device } : {}),
    ...(Object.keys(xattrs).length === 0 ? {} : { xattrs: sortKeys(xattrs) }),
    ...(type !== 'dir' && mtime < YOUNG ? { mtime } : {}),
  };
}

function flatContent(content: Buffer): Pick<FlatNode, 'text' | 'sha256'> {
  const text = content.toString('utf8');
  const isText = content.length <= TEXT_MAX && Buffer.from(text).equals(content);
  return isText ? { text } : { sha256: createHash('sha256').update(content).digest('hex') };
}

/** A field that is there with nothing in it means what a missing one means. */
function isVoid(value: unknown): boolean {
  return value === null || value === '' || value === false || (typeof value === 'object' && Object.keys(value).length === 0);
}

function sortKeys<V>(object: Readonly<Record<string, V>>): Record<string, V> {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function baseName(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}
