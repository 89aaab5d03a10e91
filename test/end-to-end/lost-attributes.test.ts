/** X37: attributes that files cannot have are one warning for a layer, a step or an output, and never silent. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { BIN, makeWorld, runCommand, type World } from './_world.ts';

let world: World;
/** Has `links.tar`, which no tar of files could be: 7 links with an attribute, and a file with two. */
let context: string;

before(async () => {
  world = await makeWorld();
  context = world.context({ Dockerfile: 'FROM busybox\nADD links.tar /l/\nRUN test -h /l/link-6\n' });
  execFileSync('python3', ['-c', LINKS, path.join(context, 'links.tar')]);
});
after(async () => await world[Symbol.asyncDispose]());

const LINKS = `import io, sys, tarfile
tar = tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT)
file = tarfile.TarInfo('file')
file.pax_headers = {'SCHILY.xattr.user.note': 'hello', 'SCHILY.xattr.user.more': 'more'}
tar.addfile(file, io.BytesIO(b''))
for n in range(7):
  link = tarfile.TarInfo('link-%d' % n)
  link.type, link.linkname, link.pax_headers = tarfile.SYMTYPE, 'file', {'SCHILY.xattr.user.note': 'hello'}
  tar.addfile(link)
tar.close()`;

const warnings = (stderr: string): string[] => stderr.split('\n').filter((line) => line.includes('Left out attributes'));

test('X37 a step that unpacks an archive tells of attributes that its links cannot have, and the record keeps it', async () => {
  const { code, stderr } = await world.tsbuild(['build', '--progress=plain', '--network=none', '-t', 'links:1', context]);
  assert.equal(code, 0, stderr);
  const [warning = '', ...more] = warnings(stderr);
  assert.deepEqual(more, []);
  assert.match(
    warning,
    /that 7 files of the step ADD links.tar \/l\/ cannot have here: \/l\/link-0 \(user.note: EPERM\), .*\/l\/link-4 .* and 2 more/,
  );
  assert.match(await world.succeed(['builds', 'inspect']), /Left out attributes that 7 files/);
});

test('X37 a layer that is unpacked for a step does so by its digest', async () => {
  await world.succeed(['import', path.join(context, 'links.tar'), 'odd:1']);
  const user = world.context({ Dockerfile: 'FROM odd:1 AS odd\nFROM busybox\nCOPY --from=odd /file /copied\n' });
  const { code, stderr } = await world.tsbuild(['build', '--progress=plain', '--network=none', user]);
  assert.equal(code, 0, stderr);
  assert.equal(warnings(stderr).length, 1, stderr);
  assert.match(stderr, /that 7 files of layer sha256:[0-9a-f]{64} cannot have here/);
});

test('X37 an output on a file system without attributes tells of those of files', async () => {
  const place = path.join(world.directory, 'ram');
  mkdirSync(place);
  const script = 'mount -t ramfs ramfs "$0" && "$@" -o "$0/out" && cat "$0/out/l/file" && getfattr -d "$0/out/l/file"';
  const command = [process.execPath, BIN, '--root', world.root, '--progress=plain', '--network=none', context];
  const { code, stdout, stderr } = await runCommand('unshare', ['-m', '--propagation', 'private', 'sh', '-euc', script, place, ...command]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, '');
  assert.match(stderr, /that 1 file of the output cannot have here: \/l\/file \(user.more: ENOTSUP\)/);
});

test('X37 an output keeps attributes, also of directories that were there', async () => {
  const out = path.join(world.directory, 'out');
  mkdirSync(path.join(out, 'd'), { recursive: true });
  const files = world.context({ Dockerfile: 'FROM scratch\nADD d.tar /\n', 'd/f': 'f' });
  execFileSync('sh', ['-euc', 'cd "$0" && setfattr -n user.note -v hello d d/f && tar --xattrs -cf d.tar d && rm -r d', files]);
  const { code, stderr } = await world.tsbuild(['build', '--progress=plain', '-o', out, files]);
  assert.equal(code, 0, stderr);
  assert.deepEqual(warnings(stderr), []);
  for (const name of ['d', 'd/f']) assert.equal(attribute(path.join(out, name)), 'hello');
  assert.equal(readFileSync(path.join(out, 'd/f'), 'utf8'), 'f');
});

for (const [snapshotter, of] of [
  ['overlay', 'layer [0-9a-f]{12}'],
  ['copy', "a step's files"],
] as const)
  test(`X37 a RUN that makes files immutable is told that no layer holds that, and nothing of them is left behind: ${snapshotter}`, async () => {
    const chattr = 'LD_LIBRARY_PATH=/c /c/ld.so /c/chattr';
    const files = world.context({
      Dockerfile: `FROM busybox\nCOPY chattr /c/\nRUN --security=insecure echo f >/f && mkdir /d && ${chattr} +i /f /d\nRUN ls /f /d\n`,
    });
    mkdirSync(path.join(files, 'chattr'));
    const libraries = execFileSync('ldd', ['/usr/bin/chattr'], { encoding: 'utf8' }).match(/\/[^ ]+(?= \()/g) ?? [];
    for (const file of [...libraries, '/usr/bin/chattr'])
      copyFileSync(file, path.join(files, 'chattr', path.basename(file).replace(/^ld-.*/, 'ld.so')));
    const flags = [`--snapshotter=${snapshotter}`, '--progress=plain', '--network=none', '--allow=security.insecure'];
    const { code, stderr } = await world.tsbuild(['build', ...flags, files]);
    assert.equal(code, 0, stderr);
    assert.equal(warnings(stderr).length, 1, stderr);
    assert.match(stderr, new RegExp(`that 2 files of ${of} cannot have here: /d \\(immutable or append-only\\), /f \\(`));
    await world.succeed(['prune', '--all', '--force']);
    assert.deepEqual(readdirSync(path.join(world.root, 'snapshots/d')), []);
  });

function attribute(file: string): string {
  return execFileSync('getfattr', ['--only-values', '--absolute-names', '-n', 'user.note', file], { encoding: 'utf8' });
}
