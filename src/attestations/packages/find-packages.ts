/** All packages that an image, a stage or a context says it has. Nothing is mounted or run, and no link is followed out of the tree. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { milliseconds } from '../../clock.ts';
import { type ByteString, join } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { apkPackages } from './apk-packages.ts';
import { dpkgPackages } from './dpkg-packages.ts';
import type { InstalledPackage } from './installed-package.ts';
import { isNpmPackage, npmPackage } from './npm-packages.ts';
import { type OperatingSystem, operatingSystem } from './operating-system.ts';
import { isPythonPackage, pythonName, pythonPackage } from './python-packages.ts';
import { rpmPackages } from './rpm-packages.ts';

export interface Inventory {
  readonly system: OperatingSystem | undefined;
  /** Sorted, each once. */
  readonly packages: readonly InstalledPackage[];
}

export interface Finding {
  readonly signal: AbortSignal;
  /** Told of what was not read. */
  readonly warn: (message: string) => void;
}

/** More than any image has. */
const PACKAGES_MAX = 200_000;
const PAUSE_MS = 50;
const ROOT = '' as ByteString;

export async function findPackages(tree: FileTree, { signal, warn }: Finding): Promise<Inventory> {
  const found = new Map<string, InstalledPackage>();
  const pause = pausing(signal);
  for (const source of [dpkgPackages(tree), apkPackages(tree), rpmPackages(tree, warn), packagesByPlace(tree)]) {
    for (const each of source) {
      await pause();
      if (each === undefined) continue;
      if (found.size >= PACKAGES_MAX) {
        warn(`More than ${PACKAGES_MAX} packages: the rest is left out`);
        break;
      }
      found.set(identityOf(each), each);
    }
  }
  return { system: operatingSystem(tree), packages: [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each) };
}

function identityOf({ manager, scope = '', name, version, architecture = '', recordedIn, installedIn }: InstalledPackage): string {
  const plain = manager === 'pypi' ? pythonName(name) : name;
  return JSON.stringify([manager, scope, plain, version, architecture, installedIn ?? recordedIn]);
}

/** Those that are known by where they lie; undefined for each other entry, so that a walk can be paused. */
function* packagesByPlace(tree: FileTree): Generator<InstalledPackage | undefined> {
  const waiting = [ROOT];
  for (let dir = waiting.pop(); dir !== undefined; dir = waiting.pop()) {
    for (const name of tree.list(dir)) {
      const path = join(dir, name);
      if (isNpmPackage(path)) yield npmPackage(tree, path);
      else if (isPythonPackage(path) && tree.stat(path)?.type === 'file') yield pythonPackage(tree, path);
      else if (tree.stat(path)?.type === 'directory') waiting.push(path);
    }
    yield undefined;
  }
}

/** Trees are read by calls that nothing interrupts: here a signal is heard. */
function pausing(signal: AbortSignal): () => Promise<void> {
  let pausedAt = milliseconds();
  return async () => {
    if (milliseconds() - pausedAt < PAUSE_MS) return;
    await nextTurn();
    signal.throwIfAborted();
    pausedAt = milliseconds();
  };
}
