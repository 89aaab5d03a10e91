/** Files of several platforms in one place: a directory for each, or all together where they do not get in each other's way. */
import { TsbuildError } from '../errors.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import { type ByteString, display, fromText, join } from '../tree/byte-string.ts';
import type { AddChange } from '../tree/change.ts';
import { wholeTree } from '../tree/whole-tree.ts';
import type { PlatformTree } from './output.ts';

const ROOT = '' as ByteString;

/**
 * `split` is by default true for several platforms. The root is left out where it is no directory of the output. Throws EXPORT_FAILED
 * where two platforms have a file of the same name.
 */
export function* filesOf(trees: readonly PlatformTree[], split = trees.length > 1): Generator<AddChange> {
  if (!split) checkApart(trees);
  const described = new Set<ByteString>();
  for (const { platform, tree } of trees) {
    for (const change of wholeTree(tree, { from: ROOT, into: split ? placeOf(platform) : ROOT })) {
      if (change.path === ROOT || described.has(change.path)) continue;
      // Directories that several platforms have are as the first one's.
      if (change.node.type === 'directory' && trees.length > 1) described.add(change.path);
      yield change;
    }
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
