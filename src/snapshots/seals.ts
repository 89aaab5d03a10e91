/**
 * Whether the files of snapshots are as they were made. A seal is what stat said of all of them then; a process compares it once, before
 * what it has made of files that another process left counts. Contents are not read: whatever writes to a file changes its times.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openSealedJson, sealedJson } from '../sealed-json.ts';
import { replaceFile } from '../sys/replace-file.ts';
import { type TreeFacts, treeFacts, treeFactsAside } from '../sys/tree-facts.ts';
import { fromText } from '../tree/byte-string.ts';
import { asSeal, readSnapshotInfo, type Seal, writeSnapshotInfo } from './snapshot-info.ts';

/** Beside `fs`: the files of the snapshot and of all below it, where these are many. Without a seal it does not count. */
export const FLAT = 'flat';
export const FLAT_SEAL = 'flat.json';

const SOUND = Promise.resolve(true);

export function sealOf(path: string): Seal {
  const { all, steady } = treeFacts(fromText(path));
  return { all: all.toString(16), steady: steady.toString(16) };
}

export interface Seals {
  /** This process has made it. Directories are named as in stacks of layers: `<id>/fs` or `<id>/flat`. */
  vouch(layer: string): void;
  /** Compares on another thread; once. */
  check(layer: string): Promise<boolean>;
  /** Compares at once. */
  isSound(layer: string): boolean;
}

/** `directory`: of all snapshots. */
export function openSeals(directory: string): Seals {
  const checks = new Map<string, Promise<boolean>>();
  const compare = (layer: string, facts: TreeFacts): boolean => {
    const seal = readSeal(directory, layer);
    if (seal === undefined || seal.all === facts.all.toString(16)) return true;
    return seal.linked === true && seal.steady === facts.steady.toString(16);
  };
  const pathOf = (layer: string) => fromText(join(directory, layer));
  return {
    vouch: (layer) => void checks.set(layer, SOUND),
    check(layer) {
      // The seal is read last: a hard link that is made meanwhile is noted before.
      const check = checks.get(layer) ?? treeFactsAside(pathOf(layer)).then((facts) => compare(layer, facts));
      checks.set(layer, check);
      // Perhaps nobody waits for it.
      check.catch(() => {});
      return check;
    },
    isSound: (layer) => checks.get(layer) === SOUND || compare(layer, treeFacts(pathOf(layer))),
  };
}

/** Its files get one more hard link each. */
export function noteLinks(directory: string): void {
  const info = readSnapshotInfo(directory);
  if (info?.seal !== undefined && info.seal.linked !== true)
    writeSnapshotInfo(directory, { ...info, seal: { ...info.seal, linked: true } });
}

/** `directory`: of the snapshot. What is in it has hard links elsewhere, and will get more. */
export function writeFlatSeal(directory: string, seal: Seal): void {
  replaceFile(join(directory, FLAT_SEAL), sealedJson({ ...seal, linked: true }));
}

function readSeal(directory: string, layer: string): Seal | undefined {
  const own = join(directory, dirname(layer));
  if (!layer.endsWith(`/${FLAT}`)) return readSnapshotInfo(own)?.seal;
  // One that the disk has changed is equal to nothing.
  return asSeal(openSealedJson(readFileSync(join(own, FLAT_SEAL), 'utf8'))) ?? { all: '', steady: '' };
}
