/** X35: what takes no place on the disk where it was made takes none in the state directory, however it got there. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, statSync, truncateSync, writeSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { dataRanges } from '../../src/sys/data-ranges.ts';
import { makeUserWorld } from './_rootless.ts';
import { makeWorld, type World } from './_world.ts';

const BLOCK = 4096;
const SIZE = (48 << 20) + 5;
/** Blocks with something in them: alone, in a row, and at the end. */
const DATA = [300, 301, 316, 2000, 2001, 2002, 7777];

function makeSparse(file: string): void {
  const fd = openSync(file, 'w');
  for (const block of DATA) writeSync(fd, Buffer.alloc(BLOCK, 'data'), 0, BLOCK, block * BLOCK);
  closeSync(fd);
  truncateSync(file, SIZE);
}

function mapOf(file: string): readonly (readonly [number, number])[] {
  const fd = openSync(file, 'r');
  try {
    return [...dataRanges(fd, statSync(file).size)];
  } finally {
    closeSync(fd);
  }
}

/** Every file of this name in the snapshots of a state directory. */
function filesNamed(root: string, name: string): string[] {
  const found = execFileSync('find', [root, '-path', `*/fs/*${name}`, '-type', 'f'], { encoding: 'utf8' });
  return found.split('\n').filter((file) => file !== '');
}

const DOCKERFILE = `FROM busybox AS made
RUN for b in ${DATA.join(' ')}; do yes data | tr -d '\\n' | dd of=/run-made bs=${BLOCK} count=1 seek=$b conv=notrunc iflag=fullblock; done 2> /dev/null; truncate -s ${SIZE} /run-made
FROM busybox
COPY copied /copied
COPY --from=made /run-made /run-made
ADD packed.tar /
RUN --mount=type=bind,target=/context cp /context/copied /again && cmp /again /copied && cmp /run-made /added
`;

for (const { who, make } of [
  { who: 'root', make: makeWorld },
  { who: 'an ordinary user', make: makeUserWorld },
]) {
  describe(`X35 sparse files of ${who}`, () => {
    let world: World;
    let wanted: ReturnType<typeof mapOf>;

    before(async () => {
      world = await make();
      const context = world.context({ Dockerfile: DOCKERFILE });
      makeSparse(path.join(context, 'copied'));
      wanted = mapOf(path.join(context, 'copied'));
      execFileSync('tar', ['-C', context, '--transform', 's/copied/added/', '-cf', path.join(context, 'packed.tar'), 'copied']);
      const layout = path.join(path.dirname(world.root), 'layout');
      await world.succeed([
        '--network=none',
        '-o',
        `type=oci,tar=false,compression=uncompressed,dest=${layout}`,
        '-o',
        `type=local,dest=${layout}-files`,
        context,
      ]);
    });
    after(async () => await world[Symbol.asyncDispose]());

    const keepsHoles = (files: readonly string[], count: number): void => {
      assert.equal(files.length, count);
      for (const file of files) {
        assert.equal(statSync(file).size, SIZE, file);
        assert.deepEqual(mapOf(file), wanted, file);
      }
    };

    test('X35 keep their holes through COPY, ADD, a bind mount, and a step that makes them', () => {
      assert.ok(wanted.length >= 4 && wanted.reduce((sum, [start, end]) => sum + end - start, 0) < 1 << 20, 'there are holes here');
      // The second of each is the mount's copy of the context, and what COPY made of the stage's.
      keepsHoles(filesNamed(world.root, 'copied'), 2);
      keepsHoles(filesNamed(world.root, 'run-made'), 2);
      keepsHoles(filesNamed(world.root, 'added'), 1);
    });

    test('X35 are whole in a layer, as the specification wants it, and have their holes when it is unpacked', async () => {
      const layout = path.join(path.dirname(world.root), 'layout');
      const other = { root: `${world.root}-other` };
      const Dockerfile = 'FROM base\nRUN cmp /copied /run-made && cmp /copied /added\n';
      await world.succeed(['--network=none', '--build-context', `base=oci-layout://${layout}`, world.context({ Dockerfile })], other);
      for (const name of ['copied', 'run-made', 'added']) keepsHoles(filesNamed(other.root, name), 1);
      const blobs = readdirSync(path.join(layout, 'blobs/sha256')).map((name) => path.join(layout, 'blobs/sha256', name));
      const layers = blobs.filter((blob) => statSync(blob).size > SIZE);
      assert.equal(layers.length, 4);
      for (const layer of layers)
        assert.doesNotMatch(
          readFileSync(layer)
            .subarray(0, 2 << 20)
            .toString('latin1'),
          /GNU\.sparse/,
        );
    });

    test('X35 keep their holes in a directory that is an output', () => {
      const files = ['copied', 'run-made', 'added'].map((name) => path.join(path.dirname(world.root), 'layout-files', name));
      keepsHoles(files, 3);
    });
  });
}
