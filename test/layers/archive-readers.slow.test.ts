/** Whatever archive we accept, GNU tar, Python's tarfile and umoci (Go's archive/tar) read the same entries from: nothing is smuggled past one of them. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { applyChanges } from '../../src/layers/apply-changes.ts';
import { readArchive } from '../../src/layers/read-archive.ts';
import { readLayer } from '../../src/layers/read-layer.ts';
import { openMergedTree } from '../../src/snapshots/merged-tree.ts';
import type { AddChange } from '../../src/tree/change.ts';
import { Layout } from '../end-to-end/security/_layout.ts';
import { mutantArchive } from './_mutant-archives.ts';
import { pieces, temporaryDirectory } from './_overlay.ts';

/** Type, name, link, mode, user, group, size or device, seconds. */
type Entry = [string, string, string, number, number, number, number | number[], number | null];
interface Readings {
  readonly python: Entry[] | string;
  readonly gnu: Entry[] | string;
}

const MUTANTS = Number(process.env['TSBUILD_TEST_MUTANTS'] ?? 10_000);
const UNPACKED = Math.ceil(MUTANTS / 50);
const LETTERS = { file: '-', directory: 'd', symlink: 'l', char: 'c', block: 'b', fifo: 'p', socket: 's' } as const;

function startReaders(): (archive: Buffer) => Promise<Readings> {
  const child = spawn('python3', ['fixtures/layers/tar-readers.py'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  after(() => child.stdin.end());
  return async (archive) => {
    child.stdin.write(`${archive.toString('base64')}\n`);
    const line = await lines.next();
    if (line.done === true) throw new Error('The readers died');
    return JSON.parse(line.value) as Readings;
  };
}

const others = startReaders();

/** Undefined where we refuse it. */
async function ours(archive: Buffer): Promise<Entry[] | undefined> {
  const entries: Entry[] = [];
  try {
    for await (const change of readArchive(pieces(archive))) entries.push(entryOf(change));
  } catch (error) {
    if (error instanceof TsbuildError) return undefined;
    throw error;
  }
  return entries;
}

function entryOf({ path, node, hardLinkTo }: AddChange): Entry {
  const size = node.device === undefined ? node.size : [node.device.major, node.device.minor];
  const letter = hardLinkTo === undefined ? LETTERS[node.type] : 'h';
  return [letter, path, hardLinkTo ?? node.linkTarget ?? '', node.mode, node.uid, node.gid, size, Number(node.mtimeNs / 1_000_000_000n)];
}

/** As far as a name means the same file; modes of links mean nothing; a time is compared where it is one that everybody prints. */
function comparable(entries: readonly Entry[]): unknown[] {
  return entries.map(([type, name, link, mode, uid, gid, size, seconds]) => [
    ...[type, clean(name), type === 'h' ? clean(link) : link, type === 'l' ? 0 : mode, uid, gid, size],
    seconds !== null && seconds > 0 && seconds < 2 ** 36 ? seconds : 'no time',
  ]);
}

function clean(name: string): string {
  return name
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

test('F1 GNU tar and Python read what we read, of every archive that we accept', async (t) => {
  let accepted = 0;
  for (let seed = 0; seed < MUTANTS; seed++) {
    const archive = mutantArchive(seed, '/outside');
    const entries = await ours(archive);
    if (entries === undefined) continue;
    accepted++;
    for (const [who, theirs] of Object.entries(await others(archive)))
      assert.deepEqual(
        typeof theirs === 'string' ? theirs : comparable(theirs),
        comparable(entries),
        `${who} reads mutant ${seed} otherwise`,
      );
  }
  t.diagnostic(`${accepted} of ${MUTANTS} archives are accepted`);
  assert.ok(accepted > MUTANTS / 20, `${accepted} of ${MUTANTS}`);
});

test('umoci unpacks the tree that we unpack, of every layer that we accept', async () => {
  const accepted: { seed: number; archive: Buffer; tree: string }[] = [];
  for (let seed = 0; accepted.length < UNPACKED; seed++) {
    const archive = mutantArchive(seed, '/outside');
    if (!isForUmoci(archive)) continue;
    const tree = await unpacked(archive);
    if (tree !== undefined) accepted.push({ seed, archive, tree });
  }
  const layout = writeLayout(accepted);
  for (const { seed, tree } of accepted) {
    const root = path.join(layout, `root-${seed}`);
    const { status, stderr } = spawnSync('umoci', ['raw', 'unpack', '--image', `${layout}:mutant-${seed}`, root], { encoding: 'utf8' });
    // Of a name that is linked to itself umoci removes the file first; we and GNU tar leave it.
    if (!stderr.includes('link: no such file or directory')) assert.equal(status === 0 ? listing(root) : stderr, tree, `mutant ${seed}`);
    rmSync(root, { recursive: true, force: true });
  }
});

/**
 * umoci knows no global headers (docker and GNU tar do), refuses user attributes of links, which we drop, and makes no directory for a
 * whiteout in it.
 */
function isForUmoci(archive: Buffer): boolean {
  const isCompressed = archive[0] === 0x1f;
  const hasGlobal = archive.some((byte, at) => at % 512 === 156 && byte === 0x67);
  return !isCompressed && !hasGlobal && !archive.includes('xattr.user.') && !archive.includes('.wh.');
}

/** The files that a layer makes in an empty root; undefined where we refuse it. */
async function unpacked(archive: Buffer): Promise<string | undefined> {
  const root = temporaryDirectory();
  const fd = openSync(root, constants.O_RDONLY);
  using nothing = openMergedTree({ layers: [], top: 'fixed' });
  try {
    await applyChanges(readLayer(pieces(archive)), fd, { lower: nothing });
    return listing(root);
  } catch (error) {
    if (error instanceof TsbuildError) return undefined;
    throw error;
  } finally {
    closeSync(fd);
    rmSync(root, { recursive: true });
  }
}

/**
 * One line a file: name, type, mode, owner, number of names, size, time, link. The times of directories that no entry describes are
 * nobody's, and so are empty ones on the way to a link's `a/../b`. What is said of a file with its second name counts for us as for docker;
 * umoci passes over it.
 */
function listing(root: string): string {
  const lines = execFileSync('find', [root, '-mindepth', '1', '-printf', '%P %y %m %U:%G %n %s %T@ %l\\n'], { encoding: 'latin1' });
  return lines
    .replace(/^\S+ d 755 0:0 2 .*\n/gm, '')
    .replace(/( d \d+ \d+:\d+) .*/g, '$1')
    .replace(/( f) \d+ \d+:\d+ ([2-9] \d+) .*/g, '$1 $2')
    .split('\n')
    .sort()
    .join('\n');
}

function writeLayout(layers: readonly { seed: number; archive: Buffer }[]): string {
  const layout = new Layout(temporaryDirectory());
  const manifests = layers.map(({ seed, archive }) => ({
    ...layout.image({ layers: [archive] }),
    annotations: { 'org.opencontainers.image.ref.name': `mutant-${seed}` },
  }));
  layout.writeIndex({ schemaVersion: 2, manifests });
  return layout.directory;
}
