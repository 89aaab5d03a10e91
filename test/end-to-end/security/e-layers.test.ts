/** Layers of attackers, and odd ones of honest people, through the whole tool (security.md E): what lands where, with which metadata. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { block, directory, END, type Fields, file, link, pax } from '../../layers/_archives.ts';
import { type CommandResult, makeWorld, type World } from '../_world.ts';
import { Layout } from './_layout.ts';

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => {
  // Node removes no path that is longer than the kernel takes.
  execFileSync('rm', ['-rf', world.directory]);
  await world[Symbol.asyncDispose]();
});

function tar(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([...parts, END]);
}

/** A file whose content is its name. */
function named(name: string, content = name, fields: Fields = {}): Buffer {
  return file(name, content, fields);
}

/** Builds on an image of these layers, with busybox's programs in /bin; what it exported is in `tree`. */
async function on(layers: readonly Buffer[], instructions = ''): Promise<CommandResult & { readonly tree: string }> {
  const layout = new Layout(world.directory);
  layout.image({ layers });
  const context = world.context({ Dockerfile: `FROM base\n${instructions}\n` });
  const tree = path.join(context, 'tree');
  const args = ['--build-context', `base=oci-layout://${layout.directory}`, '--network=none', '-o', `type=local,dest=${tree}`, context];
  const result = await world.tsbuild(args);
  assert.notEqual(result.code, 70, result.stderr);
  return { ...result, tree };
}

async function unpacked(layers: readonly Buffer[], instructions = ''): Promise<string> {
  const { code, stderr, tree } = await on(layers, instructions);
  assert.equal(code, 0, stderr);
  return tree;
}

const mode = (name: string): string => (lstatSync(name).mode & 0o7777).toString(8);

test('E2 links inside the root are followed, of the same layer and of one below, and implied directories are 0755', async () => {
  for (const layers of [
    [tar(link('var/run', '/run'), named('var/run/pid'))],
    [tar(link('var/run', '/run')), tar(named('var/run/pid'))],
    [tar(directory('run'), link('var/run', '../run')), tar(named('var/run/pid'))],
    [tar(link('var/run', '../../../run')), tar(named('var/run/pid'))],
  ]) {
    const tree = await unpacked(layers);
    assert.equal(readFileSync(path.join(tree, 'run/pid'), 'utf8'), 'var/run/pid');
    assert.ok(lstatSync(path.join(tree, 'var/run')).isSymbolicLink());
    assert.deepEqual([mode(path.join(tree, 'run')), mode(path.join(tree, 'var'))], ['755', '755']);
  }
});

test('E3 whiteouts delete what is below, whatever their order, and never what their own layer has', async () => {
  const below = tar(directory('d'), named('d/old'), named('gone'), link('l', '/d'));
  const parts = [named('d/.wh..wh..opq', ''), named('d/new'), named('.wh.gone', '')];
  for (const order of [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ]) {
    const tree = await unpacked([below, tar(...order.map((i) => parts[i] as Buffer))]);
    assert.deepEqual(
      ['d/old', 'd/new', 'gone'].map((name) => existsSync(path.join(tree, name))),
      [false, true, false],
      order.join(),
    );
  }
  const through = await unpacked([below, tar(named('l/.wh.old', ''))]);
  assert.ok(!existsSync(path.join(through, 'd/old')) && lstatSync(path.join(through, 'l')).isSymbolicLink());
});

test('E4 what is said of a link is never said of its target', async () => {
  const records = pax({ mtime: '5', uid: '77', gid: '77', 'SCHILY.xattr.trusted.evil': 'x' });
  const tree = await unpacked([tar(named('target', 't', { mode: '0000600\0' }), records, link('l', 'target', { mode: '0007777\0' }))]);
  const { uid, mtimeMs } = statSync(path.join(tree, 'target'));
  assert.deepEqual([mode(path.join(tree, 'target')), uid, mtimeMs, lstatSync(path.join(tree, 'l')).uid], ['600', 0, 0, 77]);
});

test('E5 device nodes of an image open nothing', async () => {
  const node = (name: string, type: '3' | '4', major: number, minor: number): Buffer =>
    block({
      name,
      type,
      mode: '0000666\0',
      major: `${major.toString(8).padStart(7, '0')}\0`,
      minor: `${minor.toString(8).padStart(7, '0')}\0`,
    });
  const devices = tar(node('mem', '3', 1, 1), node('sda', '4', 8, 0), node('kmsg', '3', 1, 11), node('zero', '3', 1, 5));
  const run =
    'COPY --from=busybox / /\nRUN for d in mem sda kmsg zero; do head -c1 /$d >/dev/null 2>/tmp/err && echo OPENED $d; cat /tmp/err; done; true';
  const { code, stderr } = await on([devices], run);
  assert.equal(code, 0, stderr);
  assert.ok(!/\d OPENED/.test(stderr), stderr);
  assert.equal(stderr.match(/Permission denied|Operation not permitted/g)?.length, 4, stderr);
  const whiteout = await on([tar(named('keep')), tar(node('keep', '3', 0, 0))]);
  assert.match(whiteout.stderr, /ERR_TSBUILD_LAYER_INVALID.*character device 0:0/);
});

test('E6 attributes of overlays and of the machine are no part of a layer, capabilities are, bit for bit', async () => {
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex').toString('latin1');
  const records = (extra: Record<string, string>): Buffer => pax(extra);
  const tree = await unpacked(
    [
      tar(directory('etc'), named('etc/hidden'), directory('other'), named('other/x')),
      tar(
        records({
          'SCHILY.xattr.trusted.overlay.redirect': '/etc',
          'SCHILY.xattr.trusted.overlay.opaque': 'y',
          'SCHILY.xattr.user.overlay.opaque': 'y',
        }),
        directory('other'),
        records({
          'SCHILY.xattr.security.capability': capability,
          'SCHILY.xattr.user.kept': 'k',
          'SCHILY.xattr.security.selinux': 's',
          'SCHILY.xattr.security.ima': 'i',
        }),
        named('cap'),
      ),
    ],
    'COPY --from=busybox /bin /bin\nRUN ls /other > /listing',
  );
  assert.equal(readFileSync(path.join(tree, 'listing'), 'utf8'), 'x\n');
  const attributes = execFileSync('getfattr', ['-d', '-m-', '-e', 'hex', '--absolute-names', path.join(tree, 'cap')], { encoding: 'utf8' });
  assert.match(attributes, /security\.capability=0x0100000200200000000000000000000000000000/);
  assert.match(attributes, /user\.kept=0x6b/);
  assert.doesNotMatch(attributes, /selinux|ima/);
});

test('E7 a hard link to a file below is a file of its own layer: writing to it changes no other', async () => {
  const base = [tar(named('passwd', 'root\n')), tar(block({ name: 'h', type: '1', link: 'passwd' }))];
  const tree = await unpacked(base, 'COPY --from=busybox /bin /bin\nRUN echo evil >> /h');
  assert.equal(readFileSync(path.join(tree, 'h'), 'utf8'), 'root\nevil\n');
  // An overlay copies the inode up once, and only the name that was written to follows it.
  const again = await unpacked(base);
  assert.equal(readFileSync(path.join(again, 'passwd'), 'utf8'), 'root\n');
});

test('E8 ids are kept exactly or refused', async () => {
  const big = (value: bigint): Buffer =>
    Buffer.from([0x80, ...Array.from({ length: 7 }, (_, i) => Number((value >> BigInt(8 * (6 - i))) & 0xffn))]);
  const taken: [Buffer[], number][] = [
    [[named('f', '', { uid: '0177777\0' })], 65535],
    [[named('f', '', { uid: '7777777\0' })], 2097151],
    [[named('f', '', { uid: big(65536n) })], 65536],
    [[named('f', '', { uid: big(2n ** 31n) })], 2 ** 31],
    [[named('f', '', { uid: big(2n ** 32n - 2n) })], 2 ** 32 - 2],
    [[pax({ uid: '70000' }), named('f')], 70000],
    [[pax({ uid: '4294967294' }), named('f')], 2 ** 32 - 2],
    [[named('f', '', { uid: '' })], 0],
  ];
  for (const [parts, uid] of taken) assert.equal(lstatSync(path.join(await unpacked([tar(...parts)]), 'f')).uid, uid);
  const refused: Buffer[][] = [
    [named('f', '', { uid: big(2n ** 32n - 1n) })],
    [named('f', '', { uid: big(2n ** 40n) })],
    [named('f', '', { uid: Buffer.alloc(8, 0xff) })],
    ...['-1', '1e3', '4294967295', '1099511627776', '0x10', ' 5', '٣'].map((uid) => [pax({ uid }), named('f')]),
  ];
  for (const parts of refused) assert.match((await on([tar(...parts)])).stderr, /ERR_TSBUILD_LAYER_INVALID/);
});

test('E9 nobody else reaches the files of images in the state directory', () => {
  const look = (what: string): string => {
    const { uid, gid } = { uid: '65534', gid: '65534' };
    const script = `setpriv --reuid=${uid} --regid=${gid} --clear-groups ${what} 2>&1 || true`;
    return execFileSync('sh', ['-c', script], { encoding: 'utf8' });
  };
  execFileSync('chmod', ['755', world.directory]);
  assert.match(look(`ls ${world.root}`), /Permission denied/);
  assert.match(look(`find ${world.root}`), /Permission denied/);
});

test('E10 names are bytes: all 255 of them, twins of case and of form, longer than a path', async () => {
  const names = Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1)).filter((name) => name !== '/' && name !== '.');
  const odd = ['a\nb', '\x1b[2J', 'caf\xc3\xa9', 'cafe\xcc\x81', 'A', 'a', 'a\\b', 'C:', '-rf', '*', 'n'.repeat(255), '.. ', '...'];
  const all = [...new Set([...names, ...odd])];
  const named = (name: string): Buffer => (name.length > 90 ? Buffer.concat([pax({ path: name }), file('x', name)]) : file(name, name));
  const deep = Array.from({ length: 40 }, () => 'd'.repeat(120)).join('/');
  const tree = await unpacked(
    [tar(...all.map(named), pax({ path: `${deep}/end` }), file('x', 'deep'))],
    'COPY --from=busybox /bin/busybox /bin/busybox\nRUN ["/bin/busybox", "true"]',
  );
  for (const name of all) {
    const at = Buffer.concat([Buffer.from(`${tree}/`), Buffer.from(name, 'latin1')]);
    assert.deepEqual(readFileSync(at), Buffer.from(name, 'latin1'), JSON.stringify(name));
  }
  const found = execFileSync('sh', ['-c', `cd "$0"; for i in $(seq 40); do cd -P "$1"; done; cat end`, tree, 'd'.repeat(120)], {
    encoding: 'utf8',
  });
  assert.equal(found, 'deep');
  for (const name of ['n'.repeat(256), `${'d/'.repeat(5000)}x`]) {
    const { code, stderr } = await on([tar(pax({ path: name }), file('x'))]);
    assert.equal(code, 1, stderr);
  }
});

test('E11 no umask has a say', async () => {
  const layout = new Layout(world.directory);
  layout.image({ layers: [tar(named('a/b/c'), link('l', '/new'), named('l/x'), directory('given', { mode: '0000711\0' }))] });
  const context = world.context({ Dockerfile: 'FROM base\nCOPY x /made/by/copy\nWORKDIR /made/by/workdir\n', x: 'x' });
  const digests = new Set<string>();
  for (const umask of ['000', '027', '077', '777']) {
    const args = [
      '--root',
      path.join(world.directory, `state-${umask}`),
      '--build-context',
      `base=oci-layout://${layout.directory}`,
      context,
    ];
    const command = ['-c', `umask ${umask}; exec "$@"`, 'sh', process.execPath, path.resolve('bin/tsbuild'), ...args];
    const env = { ...process.env, SOURCE_DATE_EPOCH: '1' };
    digests.add(execFileSync('sh', command, { encoding: 'utf8', env, stdio: 'pipe' }));
  }
  assert.equal(digests.size, 1, [...digests].join());
});
