/** What earlier builds left to reuse: a step's snapshot by the step's key, a snapshot's layer by the snapshot's name. */
import path from 'node:path';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import type { Making } from './cache-key.ts';
import { isGround, isMaking, isPortableLayer, type PortableLayer } from './portable-step.ts';
import { openRecordFiles, type RecordFiles } from './record-files.ts';
import { openStepAccounts, type StepAccounts } from './step-accounts.ts';
import { openStepLocks, removeDeadStepLocks, type StepLocks } from './step-locks.ts';

/** What a step left behind. */
export interface StepRecord {
  readonly snapshot: string;
  /** The making that it is the result of; absent in records of older versions. */
  readonly made?: Making | undefined;
  /** The step was made elsewhere: the snapshot may not be there. */
  readonly elsewhere?: boolean | undefined;
  /** What the snapshot can be made of then, on the files that the step starts from. */
  readonly layer?: PortableLayer | undefined;
  /** The directories that a layer by itself (`--link`) was made on. */
  readonly ground?: readonly string[] | undefined;
}

/** A snapshot's changes as a packed layer. */
export interface LayerRecord {
  readonly diffId: Digest;
  readonly descriptor: Descriptor;
  /** The name of the snapshot, where there is one that it was packed from. */
  readonly snapshot?: string | undefined;
  /** When its files were made, RFC 3339; with it, the snapshot can be made of the layer again. */
  readonly createdAt?: string | undefined;
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
  removeDeadStepLocks(root);
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
  const { snapshot, made, layer, ground } = (value ?? {}) as Partial<StepRecord>;
  return (
    typeof snapshot === 'string' &&
    /^[a-f0-9]{64}$/.test(snapshot) &&
    (made === undefined || isMaking(made)) &&
    (layer === undefined || isPortableLayer(layer)) &&
    (ground === undefined || isGround(ground))
  );
}

function isLayerRecord(value: unknown): value is LayerRecord {
  const { diffId, descriptor } = (value ?? {}) as Partial<LayerRecord>;
  const { digest, mediaType, size } = descriptor ?? {};
  return isDigest(diffId) && isDigest(digest) && typeof mediaType === 'string' && Number.isSafeInteger(size);
}
