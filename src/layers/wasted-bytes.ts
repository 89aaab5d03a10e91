/** What layers hold, and what of it later layers hide: bytes that whoever pulls the image pays for and never sees. */
import { type ByteString, nameOf, parentOf } from '../tree/byte-string.ts';
import type { Change } from '../tree/change.ts';

export interface LayerContents {
  /** Regular files, and their bytes before compression. */
  readonly files: number;
  readonly bytes: number;
  /** Of these bytes, those in files that a later layer deletes or overwrites. */
  readonly wasted: number;
  /** The largest first. */
  readonly largest: readonly { readonly path: ByteString; readonly bytes: number }[];
}

/** Layers by their position from the lowest, 0. */
export interface WastedFile {
  readonly path: ByteString;
  readonly bytes: number;
  readonly layer: number;
  readonly by: number;
  readonly how: 'deleted' | 'overwritten';
}

export interface WasteMeter {
  /** The changes that follow are of the next layer up. */
  nextLayer(): void;
  /** In any order within a layer. */
  take(change: Change): void;
  result(): { readonly layers: readonly LayerContents[]; readonly wasted: readonly WastedFile[]; readonly isWhole: boolean };
}

interface Node {
  /** The layer that has it. */
  layer: number;
  bytes: number;
  /** Of a directory. */
  children: Map<string, Node> | undefined;
}

interface Tally {
  files: number;
  bytes: number;
  wasted: number;
  largest: { path: ByteString; bytes: number }[];
}

const LISTED_MAX = 20;
/** Some 250 MB of memory. */
const NODES_MAX = 1_000_000;

/** A hard link has no bytes of its own. A file whose owner or mode a later layer changes is in both, and so overwritten. */
export function openWasteMeter(most = NODES_MAX): WasteMeter {
  const tallies: Tally[] = [];
  const wasted: WastedFile[] = [];
  const paths = openPaths(most, (file) => {
    const tally = tallies[file.layer];
    if (tally !== undefined) tally.wasted += file.bytes;
    keepLargest(wasted, file);
  });
  const add = ({ path, node, hardLinkTo }: Change & { kind: 'add' }): void => {
    const tally = tallies.at(-1);
    if (tally === undefined) throw new Error('A layer was begun');
    const bytes = node.type === 'file' && hardLinkTo === undefined ? node.size : 0;
    if (node.type === 'file') tally.files++;
    tally.bytes += bytes;
    if (bytes > 0) keepLargest(tally.largest, { path, bytes });
    paths.add(path, { bytes, isDirectory: node.type === 'directory' });
  };
  return {
    nextLayer() {
      tallies.push({ files: 0, bytes: 0, wasted: 0, largest: [] });
      paths.nextLayer();
    },
    take(change) {
      if (change.kind === 'add') add(change);
      else if (change.kind === 'delete') paths.remove(change.path);
      else paths.empty(change.path);
    },
    result: () => ({ layers: tallies, wasted, isWhole: paths.isWhole() }),
  };
}

/** The tree that the layers make, with whose each file is. `onHidden` hears of files of lower layers that go. */
function openPaths(most: number, onHidden: (file: WastedFile) => void) {
  const root: Node = { layer: -1, bytes: 0, children: new Map() };
  let layer = -1;
  let nodes = 0;
  const hide = (node: Node, path: ByteString, how: WastedFile['how']): 'gone' | 'kept' => {
    hideChildren(node, path, how);
    if (node.layer === layer || (node.children?.size ?? 0) > 0) return 'kept';
    nodes--;
    if (node.bytes > 0) onHidden({ path, bytes: node.bytes, layer: node.layer, by: layer, how });
    return 'gone';
  };
  const hideChildren = ({ children = new Map() }: Node, path: ByteString, how: WastedFile['how']): void => {
    for (const [name, child] of children) if (hide(child, below(path, name), how) === 'gone') children.delete(name);
  };
  const make = (parent: Node, name: string): Node | undefined => {
    if (nodes >= most) return undefined;
    nodes++;
    const node: Node = { layer, bytes: 0, children: new Map() };
    parent.children?.set(name, node);
    return node;
  };
  const find = (path: ByteString, missing: (parent: Node, name: string) => Node | undefined): Node | undefined => {
    let node: Node | undefined = root;
    for (const name of path === '' ? [] : path.split('/')) node = node?.children?.get(name) ?? (node?.children && missing(node, name));
    return node;
  };
  const none = (): undefined => undefined;
  return {
    nextLayer: () => layer++,
    isWhole: () => nodes < most,
    add(path: ByteString, { bytes, isDirectory }: { readonly bytes: number; readonly isDirectory: boolean }): void {
      if (path === '') return;
      const parent = find(parentOf(path), make);
      const name = nameOf(path);
      const before = parent?.children?.get(name);
      if (before !== undefined && !(isDirectory && before.children !== undefined)) {
        hide(before, path, 'overwritten');
        parent?.children?.delete(name);
      }
      const node = parent?.children && (parent.children.get(name) ?? make(parent, name));
      if (node === undefined) return;
      node.layer = layer;
      node.bytes = bytes;
      if (!isDirectory) node.children = undefined;
    },
    remove(path: ByteString): void {
      const node = find(path, none);
      if (node !== undefined && hide(node, path, 'deleted') === 'gone') find(parentOf(path), none)?.children?.delete(nameOf(path));
    },
    empty(path: ByteString): void {
      const node = find(path, none);
      if (node !== undefined) hideChildren(node, path, 'deleted');
    },
  };
}

function below(path: ByteString, name: string): ByteString {
  return (path === '' ? name : `${path}/${name}`) as ByteString;
}

/** Keeps the list short and in order. */
function keepLargest<T extends { readonly bytes: number }>(list: T[], item: T): void {
  const last = list.at(-1);
  if (list.length >= LISTED_MAX && last !== undefined && last.bytes >= item.bytes) return;
  const at = list.findIndex(({ bytes }) => bytes < item.bytes);
  list.splice(at === -1 ? list.length : at, 0, item);
  if (list.length > LISTED_MAX) list.pop();
}
