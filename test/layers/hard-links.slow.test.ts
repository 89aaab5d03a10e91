/** X36: hard links within a layer and across layers, of both overlay diff and archives, judged by umoci. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { seededRandom } from '../end-to-end/_seeded-random.ts';
import { Layout } from '../end-to-end/security/_layout.ts';
import { block, directory, END, file } from './_archives.ts';
import { applyTar, dumpTree, temporaryDirectory, temporarySnapshotter } from './_overlay.ts';

const CASES = 200;
const SEED = Number(process.env['TSBUILD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

const link = (name: string, target: string): Buffer => block({ name, type: '1', link: target });

/** Each case is a directory with names of its own; a link may be to a name of this layer or of the one below. */
function layers(random: () => number): Buffer[] {
  const all = [[], []] as Buffer[][];
  for (let i = 0; i < CASES; i++) {
    const names: string[] = [];
    const pick = (): string => names[Math.floor(random() * names.length)] ?? '';
    for (const [layer, parts] of all.entries()) {
      parts.push(directory(`c${i}`));
      const gone = new Set<string>();
      for (let n = 0; n < 2 + random() * 4; n++) {
        const name = `c${i}/l${layer}n${n}`;
        const kind = random();
        if (names.length === 0 || kind < 0.3) parts.push(file(name, `${layer} ${i} ${n}`));
        else if (kind < 0.8) parts.push(link(name, pick()));
        // A file in the place of a name of the layer below, whose other names keep what they had.
        else if (layer === 1 && !gone.has(pick())) {
          const old = names.find((at) => at.includes('/l0') && !gone.has(at));
          if (old !== undefined) parts.push(file(old, `new ${i}`));
          if (old !== undefined) gone.add(old);
          continue;
        } else continue;
        names.push(name);
      }
    }
  }
  return all.map((parts) => Buffer.concat([...parts, END]));
}

test(`X36 ${CASES} cases of hard links in two layers are what umoci makes of them`, async (t) => {
  t.diagnostic(`TSBUILD_SEED=${SEED} repeats it`);
  const [below = Buffer.alloc(0), above = Buffer.alloc(0)] = layers(seededRandom(SEED));
  const snapshots = temporarySnapshotter();
  await applyTar(snapshots, below, { parent: undefined, name: 'below' });
  await applyTar(snapshots, above, { parent: 'below', name: 'above' });
  using tree = snapshots.tree('above');
  const ours = new Map(dumpTree(tree).flatMap(({ path, type, content }) => (type === 'file' ? [[path, content]] : [])));

  const layout = new Layout(temporaryDirectory());
  layout.image({
    layers: [below, above],
    entry: (honest) => ({ ...honest, annotations: { 'org.opencontainers.image.ref.name': 'latest' } }),
  });
  const root = path.join(temporaryDirectory(), 'root');
  const { status, stderr } = spawnSync('umoci', ['raw', 'unpack', '--image', `${layout.directory}:latest`, root], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const theirs = execFileSync('sh', ['-c', 'cd "$0"; find . -type f -exec sha256sum {} +', root], {
    encoding: 'latin1',
    maxBuffer: 1 << 26,
  });
  const expected = theirs
    .trim()
    .split('\n')
    .map((line): [string, string] => [line.slice(68), line.slice(0, 64)]);
  assert.ok(expected.length > CASES * 2);
  assert.deepEqual([...ours].map(([name, content]) => [name, String(content).replace('sha256:', '')]).sort(), expected.sort());
});

test('X36 names of one inode stay that within a layer, and a link to a layer below copies the one name up that it was given', async () => {
  const snapshots = temporarySnapshotter();
  await applyTar(snapshots, Buffer.concat([file('a', 'one'), link('b', 'a'), link('c', 'b'), END]), { parent: undefined, name: 'below' });
  await applyTar(snapshots, Buffer.concat([link('d', 'a'), link('e', 'd'), END]), { parent: 'below', name: 'above' });
  using tree = snapshots.tree('above');
  const groups = dumpTree(tree).flatMap(({ path, inode }) => (inode === undefined ? [] : [`${path} = ${inode}`]));
  assert.deepEqual(groups, ['a = a', 'b = b', 'c = b', 'd = a', 'e = a']);
});

test('X36 a link before its target, or to a target that is nowhere, is refused by its name', async () => {
  const snapshots = temporarySnapshotter();
  for (const parts of [[link('early', 'late'), file('late')], [link('early', 'nowhere')], [link('early', 'early')]]) {
    await assert.rejects(
      applyTar(snapshots, Buffer.concat([...parts, END]), { parent: undefined, name: 'refused' }),
      (error) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_LAYER_INVALID' && error.message.includes('early'),
    );
  }
  assert.equal(snapshots.get('refused'), undefined);
});
