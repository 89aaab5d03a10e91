/** What earlier builds left to reuse: a step's snapshot by the step's key, a snapshot's layer by the snapshot's name. */
import path from 'node:path';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { openRecordFiles, type RecordFiles } from './record-files.ts';

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
}

/** Opens the records in the state directory `root`, making their folders where absent. */
export function openBuildCache(root: string): BuildCache {
  return {
    steps: openRecordFiles(path.join(root, 'cache', 'steps'), isStepRecord),
    layers: openRecordFiles(path.join(root, 'cache', 'layers'), isLayerRecord),
  };
}

function isStepRecord(value: unknown): value is StepRecord {
  return typeof value === 'object' && value !== null && 'snapshot' in value && typeof value.snapshot === 'string';
}

function isLayerRecord(value: unknown): value is LayerRecord {
  const record = value as Partial<LayerRecord> | null;
  return typeof record === 'object' && record !== null && isDigest(String(record.diffId)) && isDigest(String(record.descriptor?.digest));
}
