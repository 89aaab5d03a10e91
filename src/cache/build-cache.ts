/** What earlier builds left to reuse: a step's snapshot by the step's key, a snapshot's layer by the snapshot's name. */
import path from 'node:path';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { openRecordFiles, type RecordFiles } from './record-files.ts';
import { openStepAccounts, type StepAccounts } from './step-accounts.ts';
import { openStepLocks, type StepLocks } from './step-locks.ts';

/** What a step left behind. */
export interface StepRecord {
  readonly snapshot: string;
}

/** A snapshot's changes as a packed layer. */
export interface LayerRecord {
  readonly diffId: Digest;
  readonly descriptor: Descriptor;
}

export interface BuildCache {
  readonly steps: RecordFiles<StepRecord>;
  readonly layers: RecordFiles<LayerRecord>;
  /** What steps were made of, for telling a miss; opened when a step is made or told. */
  accounts(): StepAccounts;
  /** Opened when a step is made. */
  locks(): StepLocks;
}

/** Opens the records in the state directory `root`, making their folders where absent. */
export function openBuildCache(root: string): BuildCache {
  let accounts: StepAccounts | undefined;
  let locks: StepLocks | undefined;
  return {
    steps: openRecordFiles(path.join(root, 'cache', 'steps'), isStepRecord),
    layers: openRecordFiles(path.join(root, 'cache', 'layers'), isLayerRecord),
    accounts() {
      accounts ??= openStepAccounts(root);
      return accounts;
    },
    locks() {
      locks ??= openStepLocks(root);
      return locks;
    },
  };
}

/** Snapshots of steps are named by 64 hex digits: a record that says otherwise names no path. */
function isStepRecord(value: unknown): value is StepRecord {
  const { snapshot } = (value ?? {}) as Partial<StepRecord>;
  return typeof snapshot === 'string' && /^[a-f0-9]{64}$/.test(snapshot);
}

function isLayerRecord(value: unknown): value is LayerRecord {
  const { diffId, descriptor } = (value ?? {}) as Partial<LayerRecord>;
  const { digest, mediaType, size } = descriptor ?? {};
  return isDigest(String(diffId)) && isDigest(String(digest)) && typeof mediaType === 'string' && Number.isSafeInteger(size);
}
