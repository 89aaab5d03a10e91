import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { AGED } from './_builds.ts';
import { addBlob, blobPath, blobsOf, type CacheStep, copyLayout, type Records, rewriteRecords } from './_cache-layout.ts';
import { type TracedBuild, type TwoStates, twoStates } from './_two-states.ts';

let states: TwoStates;
let layout: string;
let context: string;
/** Of the build that made the cache: steps are such that who runs them again gets the same. */
let digest: string;

const EPOCH = ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000'];
const DOCKERFILE = [
  'FROM busybox AS tools',
  `RUN echo tool > /tool; ${AGED}`,
  'FROM busybox',
  'COPY a /a',
  `RUN cat /a > /b; ${AGED}`,
  'COPY --link a /linked/a',
  `RUN cat /linked/a > /c; ${AGED}`,
  'COPY --from=tools /tool /tool',
].join('\n');

before(async () => {
  states = await twoStates();
  layout = path.join(states.world.directory, 'honest');
  context = states.world.context({ Dockerfile: DOCKERFILE, a: 'a' });
  execFileSync('touch', ['-d', '@1700000000', path.join(context, 'a')]);
  ({ digest } = await states.build(states.a, [...EPOCH, '--cache-to', `type=local,dest=${layout},mode=max`, context]));
});
after(async () => await states[Symbol.asyncDispose]());

let count = 0;

/** Builds with a cache that somebody has changed; the image must be the right one all the same. */
async function withCache(change: (copy: string) => void): Promise<TracedBuild> {
  const copy = copyLayout(layout, path.join(states.world.directory, `hostile-${count++}`));
  change(copy);
  await states.forget();
  const built = await states.build(states.b, [...EPOCH, '--cache-from', `type=local,src=${copy}`, context]);
  assert.equal(built.digest, digest);
  const ends = built.events.flatMap(({ kind, outcome, step }) =>
    kind === 'step-end' && outcome !== 'canceled' ? [`${outcome} ${step?.text}`] : [],
  );
  assert.deepEqual(ends, [...new Set(ends)], 'no step is told twice where it did not run');
  rmSync(copy, { recursive: true });
  return built;
}

/** The same without the cache, out of what the state directory keeps of it. */
async function staysRight(): Promise<void> {
  const again = await states.build(states.b, [...EPOCH, context]);
  assert.deepEqual([again.digest, again.ran], [digest, []]);
}

const inRecords = (change: (records: Records) => Buffer | undefined) => (copy: string) => rewriteRecords(copy, change);

describe('K2 a remote cache that somebody has changed', () => {
  test('is of use as it was', async () => {
    const { ran, warnings } = await withCache(() => {});
    assert.deepEqual([ran, warnings], [[], []]);
  });

  test('with one bit flipped in any of its blobs is a warning, or was not needed', async () => {
    let warned = 0;
    const isDocument = (blob: string) => readFileSync(blobPath(layout, blob)).toString('latin1', 0, 1) === '{';
    const layers = blobsOf(layout).filter((blob) => !isDocument(blob));
    for (const blob of [...blobsOf(layout).filter(isDocument), ...layers.slice(0, 3)]) {
      const { warnings, ran } = await withCache((copy) => {
        const bytes = readFileSync(blobPath(copy, blob));
        const at = Math.floor(bytes.length / 2);
        bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
        writeFileSync(blobPath(copy, blob), bytes);
      });
      assert.ok(warnings.length === 1 || ran.length === 0, `${blob}: ${warnings.join()}`);
      warned += warnings.length;
    }
    // All but BuildKit's config, and a layer that nobody needs.
    assert.ok(warned >= 4, `${warned} warnings`);
    await staysRight();
  });

  test('with a wrong diffID is a warning', async () => {
    const { warnings } = await withCache(
      inRecords(({ steps }) => {
        for (const { layer } of steps) if (layer !== undefined) layer.diffId = `sha256:${'1'.repeat(64)}`;
        return undefined;
      }),
    );
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /expected diffID/);
    await staysRight();
  });

  test('with a layer that is no archive, or leads out, is a warning', async () => {
    const tar = path.join(states.world.directory, 'evil.tar');
    execFileSync('tar', ['--transform', 's#^a#../../../../../../etc/evil#', '-P', '-cf', tar, '-C', context, 'a']);
    for (const bytes of [randomBytes(2000), gzipSync(randomBytes(2000)), readFileSync(tar)]) {
      const { warnings } = await withCache((copy) => {
        const { digest: found, size } = addBlob(copy, bytes);
        rewriteRecords(copy, ({ steps }) => {
          for (const { layer } of steps.filter(({ ground }) => ground === undefined)) {
            Object.assign(layer ?? {}, {
              descriptor: { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: found, size },
              diffId: found,
            });
          }
          return undefined;
        });
      });
      assert.equal(warnings.length, 1);
    }
  });

  test('with swapped parents, keys or nonces is a warning, or finds nothing', async () => {
    const swap =
      (name: 'parent' | 'key' | 'made') =>
      ({ steps }: Records) => {
        const values = steps.map((step) => step[name]);
        for (const [i, step] of steps.entries()) Object.assign(step, { [name]: values[(i + 1) % values.length] });
        return undefined;
      };
    for (const name of ['parent', 'key', 'made'] as const) {
      const { ran, warnings } = await withCache(inRecords(swap(name)));
      assert.ok(ran.length > 0 && warnings.length === 1, `${name}: ${warnings.join()}`);
    }
    const { ran } = await withCache(
      inRecords(({ steps }) => {
        for (const step of steps) step.made.nonce = randomBytes(32).toString('hex');
        return undefined;
      }),
    );
    assert.ok(ran.length > 0, 'later keys hold the nonce');
    await staysRight();
  });

  test('that is too large, too deep or no JSON is a warning', async () => {
    const many = (steps: CacheStep[]): CacheStep[] =>
      Array.from({ length: 100_000 }, (_, i) => {
        const key = i.toString(16).padStart(64, '0');
        return { ...(steps[0] as CacheStep), key, parent: key, made: { key, nonce: key } };
      });
    const cases: Record<string, (copy: string) => void> = {
      'a hundred thousand records': inRecords(({ steps }) => Buffer.from(JSON.stringify({ version: 1, steps: many(steps), mounts: [] }))),
      'a long string': inRecords(() => Buffer.from(JSON.stringify({ version: 1, steps: [], mounts: [], more: 'x'.repeat(40 << 20) }))),
      nesting: inRecords(() => Buffer.from(`${'['.repeat(1 << 20)}${']'.repeat(1 << 20)}`)),
      'no JSON': inRecords(() => Buffer.from('{"version":1,"steps":[')),
      'another version': inRecords((records) => Buffer.from(JSON.stringify({ ...records, version: 2 }))),
      'a record that lacks a field': inRecords(({ steps: [step] }) => void Reflect.deleteProperty(step ?? {}, 'parent')),
      'a ground that leads out': inRecords(
        ({ steps }) => void Object.assign(steps.find(({ ground }) => ground !== undefined) ?? {}, { ground: ['..', '../etc'] }),
      ),
      'no index': (copy) => writeFileSync(path.join(copy, 'index.json'), '\0'),
    };
    for (const [name, change] of Object.entries(cases)) {
      const { warnings, ran } = await withCache(change);
      assert.equal(warnings.length, 1, `${name}: ${warnings.join()}`);
      assert.ok(ran.length > 0, name);
    }
  });

  test('whose files are links and pipes is a warning, and nothing is followed', async () => {
    for (const make of [(file: string) => symlinkSync('/etc/shadow', file), (file: string) => execFileSync('mkfifo', [file])]) {
      const { warnings } = await withCache((copy) => {
        for (const blob of blobsOf(copy)) {
          rmSync(blobPath(copy, blob));
          make(blobPath(copy, blob));
        }
      });
      assert.equal(warnings.length, 1);
    }
  });

  test('a chain of ten thousand records is read, and those that are asked for are found', async () => {
    const { ran, warnings } = await withCache(
      inRecords(({ steps }) => {
        for (let i = 0; i < 10_000; i++) {
          const [key, parent] = [i + 1, i].map((n) => n.toString(16).padStart(63, '0').padStart(64, 'f'));
          steps.push({ key: key ?? '', parent: parent ?? '', made: { key: key ?? '', nonce: key ?? '' } });
        }
        return undefined;
      }),
    );
    assert.deepEqual([ran, warnings], [[], []]);
  });
});
