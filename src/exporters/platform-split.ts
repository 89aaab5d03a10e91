/** Files of several platforms in one place: a directory for each, or all together where they do not get in each other's way. */
import { TsbuildError } from '../errors.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import { type ByteString, display, fromText, join } from '../tree/byte-string.ts';
import type { AddChange } from '../tree/change.ts';
import { wholeTree } from '../tree/whole-tree.ts';
import type { PlatformTree, TreeFile } from './output.ts';

const ROOT = '' as ByteString;

/**
 * `split` is by default true for several platforms. The root is left out where it is no directory of the output. Throws EXPORT_FAILED
 * where two platforms have a file of the same name.
 */
export function* filesOf(trees: readonly PlatformTree[], split = trees.length > 1): Generator<AddChange> {
  if (!split) checkApart(trees);
  const described = new Set<ByteString>();
  for (const { platform, tree, more = [] } of trees) {
    const place = split ? placeOf(platform) : ROOT;
    for (const change of wholeTree(tree, { from: ROOT, into: place })) {
      if (change.path === ROOT) yield* moreFiles(tree, more, ROOT);
      if (change.path === ROOT || described.has(change.path)) continue;
      // Directories that several platforms have are as the first one's.
      if (change.node.type === 'directory' && trees.length > 1) described.add(change.path);
      yield change;
      if (change.path === place) yield* moreFiles(tree, more, place);
    }
  }
}

/** The part of a name that a user gave, before the names of files with attestations. Throws USAGE. */
export function checkPrefix(prefix: string | undefined): void {
  if (prefix === undefined || /^[A-Za-z0-9._-]{0,100}$/.test(prefix)) return;
  throw new TsbuildError(
    'USAGE',
    `Cannot use attestation-prefix=${JSON.stringify(prefix.slice(0, 100))}: a name of a file begins otherwise`,
  );
}

/** Those of the image win: none is replaced. */
function* moreFiles(tree: PlatformTree['tree'], files: readonly TreeFile[], place: ByteString): Generator<AddChange> {
  for (const { name, bytes, seconds } of files) {
    if (tree.stat(fromText(name)) !== undefined) {
      throw new TsbuildError('EXPORT_FAILED', `Cannot write the attestation ${name}: the output has a file of that name`, {
        hint: 'Give another name: attestation-prefix=PREFIX in --output.',
      });
    }
    const timeNs = BigInt(seconds) * 1_000_000_000n;
    const node = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: bytes.length, mtimeNs: timeNs, ctimeNs: timeNs } as const;
    yield { kind: 'add', path: join(place, fromText(name)), node, xattrs: new Map(), content: { kind: 'bytes', bytes } };
  }
}

/** `linux_arm64`, as docker names it. */
function placeOf(platform: Platform): ByteString {
  return fromText(formatPlatform(platform).replaceAll('/', '_'));
}

function checkApart(trees: readonly PlatformTree[]): void {
  for (const one of trees.length > 1 ? trees : []) {
    for (const path of filesBelow(one.tree)) {
      const other = trees.find((each) => each !== one && each.tree.stat(path) !== undefined);
      if (other === undefined) continue;
      const both = `${formatPlatform(one.platform)} and ${formatPlatform(other.platform)}`;
      throw new TsbuildError('EXPORT_FAILED', `Cannot put the files of ${both} into one place: both have ${display(path)}`, {
        hint: 'Leave out platform-split=false.',
      });
    }
  }
}

/** Everything but directories. */
function* filesBelow(tree: PlatformTree['tree']): Generator<ByteString> {
  const waiting = [ROOT];
  for (let dir = waiting.pop(); dir !== undefined; dir = waiting.pop()) {
    for (const name of tree.list(dir)) {
      const path = join(dir, name);
      if (tree.stat(path)?.type === 'directory') waiting.push(path);
      else yield path;
    }
  }
}
