/** Runs in namespaces of its own: damages files of a finished store, and builds again. A DamageJob on standard input, a DamageReport a line on standard output. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { json } from 'node:stream/consumers';
import { type BuildOptions, build, type Output, type OutputsResult, parseOutput, saveImage, TsbuildError } from '../../src/index.ts';
import { sealOf } from '../../src/snapshots/seals.ts';
import { readSnapshotInfo, writeSnapshotInfo } from '../../src/snapshots/snapshot-info.ts';
import { reachable } from '../store/_check-state.ts';
import { fsck } from '../store/_fsck.ts';
import { archiveOf, copyState, filesIn, KEPT, type ReferenceBuild, STAGES, TAGGED } from './_reference-build.ts';

/** `bit`: of the file; `swap`: with the file `other`. Files are relative to the state directory. */
export type Damage = { readonly file: string } & (
  | { readonly kind: 'flip'; readonly bit: number }
  | { readonly kind: 'swap'; readonly other: string }
  | { readonly kind: 'delete' | 'truncate' | 'empty' | 'zero' | 'extend' }
);

export interface DamageJob {
  readonly reference: ReferenceBuild;
  /** A state directory where the build is done. */
  readonly finished: string;
  readonly directory: string;
  /** sha256 of what `saveImage` writes of the older image. */
  readonly savedKept: string;
  /** What `filesIn` says of each of the STAGES. */
  readonly files: readonly string[];
  readonly damages: readonly Damage[];
}

export interface DamageReport {
  readonly damage: Damage;
  /** Of the files of each stage, where one of those was damaged; of the build, and of writing the older image: `right`, or the error. */
  readonly outcomes: readonly string[];
  readonly warnings: readonly string[];
  readonly problems: readonly string[];
}

const SNAPSHOT_FILE = /\/d\/[a-z0-9]+\/fs\//;
const REWRITE = ['rewrite-timestamp', 'true'] as const;
const job = (await json(process.stdin)) as DamageJob;
const state = path.join(job.directory, 'state');
let isFresh = false;
for (const damage of job.damages) console.log(JSON.stringify(await tryDamage(damage)));
rmSync(job.directory, { recursive: true, force: true });

async function tryDamage(damage: Damage): Promise<DamageReport> {
  // What heals may have another name.
  if (!isFresh || !existsSync(path.join(state, damage.file))) await makeFresh();
  inflict(damage);
  const warnings: string[] = [];
  const files = SNAPSHOT_FILE.test(damage.file) ? await outcomesOfFiles(warnings) : [];
  const build = await outcomeOf(async () => await rebuild(warnings));
  const kept = await outcomeOf(saveKept);
  const outcomes = [...files, build, kept];
  const problems = outcomes.filter((outcome) => outcome.startsWith('wrong'));
  if (build === 'right') problems.push(...unsoundOf(TAGGED));
  if (kept === 'right') problems.push(...unsoundOf(KEPT));
  isFresh = outcomes.every((outcome) => outcome === 'right') && damage.kind === 'flip' && fsckOrFault().length === 0;
  return { damage, outcomes, warnings, problems };
}

/** Blobs that an image needs, and that are not what their names say. */
function unsoundOf(name: string): string[] {
  const faults = fsckOrFault();
  return reachable(state, name).filter((digest) => faults.some((fault) => fault.includes(digest.replace('sha256:', ''))));
}

function fsckOrFault(): string[] {
  try {
    return fsck(state);
  } catch (error) {
    // A reference that is no JSON any more.
    return [String(error)];
  }
}

/** A build finds everything, and has looked at everything in this place. */
async function makeFresh(): Promise<void> {
  copyState(job.finished, state);
  sealCopies();
  const warnings: string[] = [];
  const outcomes = [await rebuild(warnings), ...(await outcomesOfFiles(warnings))];
  if (warnings.length > 0 || outcomes.some((outcome) => outcome !== 'right')) throw new Error(`Not fresh: ${outcomes} ${warnings}`);
}

/** A copy has other inodes. */
function sealCopies(): void {
  const snapshots = path.join(state, 'snapshots/d');
  for (const id of readdirSync(snapshots)) {
    const directory = path.join(snapshots, id);
    const info = readSnapshotInfo(directory);
    if (info !== undefined) writeSnapshotInfo(directory, { ...info, seal: sealOf(path.join(directory, 'fs')) });
  }
}

async function outcomesOfFiles(warnings: string[]): Promise<string[]> {
  const outcomes: string[] = [];
  for (const [i, target] of STAGES.entries()) {
    const file = `${state}-out-${target}.tar`;
    const outputs = [
      parseOutput([
        ['type', 'tar'],
        ['dest', file],
      ]),
    ];
    const isRight = async () => {
      await buildReference({ target, outputs }, warnings);
      return filesIn(file) === job.files[i] ? 'right' : `wrong: other files in stage ${target}`;
    };
    outcomes.push(await outcomeOf(isRight));
  }
  return outcomes;
}

async function outcomeOf(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof TsbuildError)) return `wrong: ${error instanceof Error ? error.stack : error}`;
    // Without its reference, a base is an image to pull.
    const isNamed = /sha256:|\/state\b|image|snapshot|\/base:latest/.test(error.message);
    return `${isNamed ? 'refused' : 'wrong'}: ${error.code} ${error.message}`;
  }
}

async function rebuild(warnings: string[]): Promise<string> {
  mkdirSync(`${state}-out`, { recursive: true });
  const { clean } = job.reference;
  const outputs = [parseOutput([['type', 'image'], REWRITE]), parseOutput([['type', 'oci'], REWRITE, ['dest', archiveOf(state)]])];
  const result = await buildReference({ tags: [TAGGED], outputs }, warnings);
  const found = [result.digest, sha256(archiveOf(state))].join(' ');
  const right = [clean.digest, clean.archive].join(' ');
  return found === right ? 'right' : `wrong: ${found} instead of ${right}`;
}

async function buildReference(
  what: Pick<BuildOptions, 'target' | 'tags'> & { outputs: readonly Output[] },
  warnings: string[],
): Promise<OutputsResult> {
  const { world } = job.reference;
  return await build({
    ...{ root: state, context: path.join(world, 'context'), retries: { count: 0 } },
    secrets: { s: { file: path.join(world, 'secret') } },
    buildArgs: { SOURCE_DATE_EPOCH: '1700000000' },
    onEvent: (event) => void (event.kind === 'warning' && warnings.push(event.message)),
    ...what,
  });
}

async function saveKept(): Promise<string> {
  const output = path.join(`${state}-out`, 'kept.tar');
  await saveImage({ root: state, name: KEPT, output });
  return sha256(output) === job.savedKept ? 'right' : `wrong: ${KEPT} is another one`;
}

function inflict(damage: Damage): void {
  const file = path.join(state, damage.file);
  const bytes = readFileSync(file);
  if (damage.kind === 'flip') {
    bytes.writeUInt8(bytes.readUInt8(damage.bit >> 3) ^ (1 << (damage.bit & 7)), damage.bit >> 3);
    overwrite(file, bytes);
  }
  if (damage.kind === 'zero') overwrite(file, Buffer.alloc(bytes.length));
  if (damage.kind === 'extend') overwrite(file, Buffer.concat([bytes, Buffer.from('x')]));
  if (damage.kind === 'delete') rmSync(file);
  if (damage.kind === 'empty') truncateSync(file);
  if (damage.kind === 'truncate') truncateSync(file, bytes.length >> 1);
  if (damage.kind === 'swap') {
    const other = path.join(state, damage.other);
    renameSync(file, `${file}.swap`);
    if (existsSync(other)) renameSync(other, file);
    renameSync(`${file}.swap`, other);
  }
}

/** Whatever its mode is: the inode stays. */
function overwrite(file: string, bytes: Buffer): void {
  writeFileSync(file, bytes, { flag: 'r+' });
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
