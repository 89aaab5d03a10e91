/** What is written beside a snapshot's files: `info.json`. */
import { join } from 'node:path';
import { openSealedJson, sealedJson } from '../sealed-json.ts';
import { readIfThere } from '../sys/if-there.ts';
import { replaceFile } from '../sys/replace-file.ts';

/** One layer's files, unpacked or left by a step. */
export interface Snapshot {
  readonly name: string;
  readonly id: string;
  readonly parent: string | undefined;
  /** RFC 3339. */
  readonly createdAt: string;
}

/** What a snapshot was made for. */
export interface SnapshotPurpose {
  readonly kind: 'step' | 'image-layer' | 'git-checkout' | 'context-copy';
  /** As people know it, without secrets: an instruction, a digest, an address. */
  readonly text: string;
}

/** What stat said of its files when it was made (sys/tree-facts.ts); hexadecimal. */
export interface Seal {
  readonly all: string;
  /** Without ctime. */
  readonly steady: string;
  /** Files have got hard links elsewhere: their ctime says nothing any more. */
  readonly linked?: boolean | undefined;
}

export interface SnapshotInfo {
  readonly name: string;
  readonly parent: string | undefined;
  readonly createdAt: string;
  /** Of the boot that wrote the files: nobody syncs them, and a crash of the machine may have lost parts of them. */
  readonly bootId: string;
  /** Undefined where another version of tsbuild made it. */
  readonly purpose?: SnapshotPurpose | undefined;
  /** Undefined where a version without seals made it. */
  readonly seal?: Seal | undefined;
}

export const INFO_FILE = 'info.json';
const KINDS: ReadonlySet<unknown> = new Set(['step', 'image-layer', 'git-checkout', 'context-copy']);

/** Undefined where the file is missing, was torn by a crash or changed by the disk: then the snapshot does not count. */
export function readSnapshotInfo(directory: string): SnapshotInfo | undefined {
  const text = readIfThere(join(directory, INFO_FILE));
  return text === undefined ? undefined : parseInfo(text);
}

export function writeSnapshotInfo(directory: string, info: SnapshotInfo): void {
  replaceFile(join(directory, INFO_FILE), sealedJson(info));
}

function parseInfo(text: string): SnapshotInfo | undefined {
  const { name, parent, createdAt, bootId, purpose, seal } = openSealedJson(text) ?? {};
  if (typeof name !== 'string' || typeof createdAt !== 'string' || typeof bootId !== 'string') return undefined;
  if (parent !== undefined && typeof parent !== 'string') return undefined;
  return { name, parent, createdAt, bootId, purpose: purposeOf(purpose), seal: asSeal(seal) };
}

function purposeOf(value: unknown): SnapshotPurpose | undefined {
  const { kind, text } = (value ?? {}) as Partial<SnapshotPurpose>;
  return kind !== undefined && KINDS.has(kind) && typeof text === 'string' ? { kind, text } : undefined;
}

/** Also where one is written beside the files themselves. */
export function asSeal(value: unknown): Seal | undefined {
  const { all, steady, linked } = (value ?? {}) as Partial<Seal>;
  return typeof all === 'string' && typeof steady === 'string' ? { all, steady, ...(linked === true && { linked }) } : undefined;
}
