import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { openStore, type Store } from '../../src/store/open-store.ts';
import { fsck } from './_fsck.ts';
import { putImage, temporaryDirectory, temporaryStore } from './_store.ts';

const invalid = (reason: RegExp) => (error: unknown) =>
  error instanceof TsbuildError && error.code === 'ERR_TSBUILD_STORE_INVALID' && reason.test(error.message) && error.hint !== undefined;

test('openStore() makes a private directory whatever the umask', async (t) => {
  const root = join(temporaryDirectory(t), 'deep', 'root');
  const old = process.umask(0o022);
  try {
    await using store = await openStore(root);
    assert.equal(store.root, root);
  } finally {
    process.umask(old);
  }
  for (const path of ['', 'blobs', 'blobs/sha256', 'refs', 'ingest', 'origins'])
    assert.equal(statSync(join(root, path)).mode & 0o777, 0o700, path);
  assert.equal(readFileSync(join(root, 'version'), 'utf8'), '1\n');
});

test('openStore() closes a directory that others could enter', async (t) => {
  const root = temporaryDirectory(t);
  chmodSync(root, 0o777);
  await using store = await openStore(root);
  assert.equal(statSync(store.root).mode & 0o777, 0o700);
});

test('openStore() refuses a link, a file, a foreign owner, a foreign directory and unknown versions', async (t) => {
  const base = temporaryDirectory(t);
  const make = (name: string, work: (path: string) => void): string => {
    work(join(base, name));
    return join(base, name);
  };
  mkdirSync(join(base, 'target'));
  await assert.rejects(openStore(make('link', (path) => symlinkSync('target', path))), invalid(/a symbolic link/));
  await assert.rejects(openStore(make('file', (path) => writeFileSync(path, ''))), invalid(/not a directory/));
  await assert.rejects(openStore(join(base, 'file', 'below')), invalid(/not a directory/));
  await assert.rejects(openStore('/proc/none/below'), invalid(/ENOENT/));
  const owned = make('owned', (path) => mkdirSync(path));
  chownSync(owned, 12345, 12345);
  await assert.rejects(openStore(owned), invalid(/owned by user 12345/));
  const home = make('home', (path) => mkdirSync(path, { mode: 0o755 }));
  writeFileSync(join(home, 'thesis.txt'), '');
  await assert.rejects(openStore(home), invalid(/thesis\.txt/));
  assert.equal(statSync(home).mode & 0o777, 0o755);
  assert.deepEqual(readdirSync(home), ['thesis.txt']);
  for (const [version, reason] of [
    ['2\n', /newer tsbuild/],
    ['999999\n', /newer tsbuild/],
    ['', /version file/],
    ['x', /version file/],
  ] as const) {
    const versioned = join(base, `version-${digestOf(version).slice(-8)}`);
    mkdirSync(versioned);
    writeFileSync(join(versioned, 'version'), version);
    await assert.rejects(openStore(versioned), invalid(reason));
  }
});

test('openStore() finishes a store whose making was cut short', async (t) => {
  const root = temporaryDirectory(t);
  mkdirSync(join(root, 'blobs'));
  writeFileSync(join(root, '.version-00000000-0000-4000-8000-000000000000'), '');
  await using store = await openStore(root);
  assert.ok(existsSync(join(store.root, 'version')));
});

test('openStore() removes ingests of dead processes and keeps those of living ones', async (t) => {
  const store = await temporaryStore(t);
  await using alive = await store.content.ingest();
  await alive.write(Buffer.from('alive'));
  const ingest = join(store.root, 'ingest');
  const [mine] = readdirSync(ingest);
  mkdirSync(join(ingest, 'dead'));
  writeFileSync(join(ingest, 'dead', '0'), 'left');
  writeFileSync(join(ingest, 'stray'), 'left');
  await using other = await openStore(store.root);
  assert.deepEqual(readdirSync(join(other.root, 'ingest')), [mine]);
  assert.equal((await alive.commit()).digest, digestOf('alive'));
});

test('a store that is closed leaves no ingest directory', async (t) => {
  const root = join(temporaryDirectory(t), 'root');
  {
    await using store = await openStore(root);
    await store.content.put(Buffer.from('x'));
    const ingest = await store.content.ingest();
    await ingest.write(Buffer.from('y'));
  }
  assert.deepEqual(readdirSync(join(root, 'ingest')), []);
});

test('collect() removes blobs that no image needs, with their origins, and keeps the rest', async (t) => {
  const store = await temporaryStore(t);
  const kept = await putImage(store, [Buffer.from('base'), Buffer.from('top')]);
  const lost = await putImage(store, [Buffer.from('base'), Buffer.from('gone')]);
  const cached = await store.content.put(Buffer.from('cached'));
  await store.images.set('kept', kept);
  await store.images.set('lost', lost);
  for (const word of ['gone', 'base']) await store.origins.add(digestOf(word), { registry: 'r.test', repository: 'a' });
  assert.equal(await store.collect([cached.digest]), 0);
  store.images.remove('lost');
  const freed = await store.collect([cached.digest]);
  assert.ok(freed > lost.size);
  assert.deepEqual(
    ['base', 'top', 'gone', 'cached'].map((word) => store.content.has(digestOf(word))),
    [true, true, false, true],
  );
  assert.equal(store.content.has(lost.digest), false);
  assert.ok(store.content.has(kept.digest));
  assert.deepEqual(store.origins.get(digestOf('gone')), []);
  assert.equal(store.origins.get(digestOf('base')).length, 1);
});

/** A process that does `use` with the store, and lives on. */
async function startUser(root: string, use: string): Promise<ChildProcess> {
  const url = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
  const script = `import { openStore } from ${url('../../src/store/open-store.js')};
    import { digestOf } from ${url('../../src/oci/digest.js')};
    const store = await openStore(${JSON.stringify(root)}); ${use}; console.log('open'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
}

test('collect() leaves what another process has put, asked for, or found by name, until it dies', async (t) => {
  const store = await temporaryStore(t);
  const gone = await putImage(store, [Buffer.from('layer of an image')]);
  await store.images.set('image', gone);
  for (const word of ['asked for', 'garbage']) await store.content.put(Buffer.from(word));
  const use = `await store.content.put(Buffer.from('put')); store.content.has(digestOf('asked for')); store.images.get('image')`;
  const child = await startUser(store.root, use);
  store.images.remove('image');
  assert.equal(await store.collect([]), 'garbage'.length);
  for (const word of ['put', 'asked for', 'layer of an image']) assert.ok(store.content.has(digestOf(word)), word);
  assert.deepEqual(fsck(store.root), []);
  await kill(child);
  assert.ok((await store.collect([])) > gone.size);
  assert.deepEqual(store.content.list(), []);
  assert.deepEqual(readdirSync(join(store.root, 'trash')), []);
});

test('a lease is there as long as something is pinned, and goes with the store or with the next collection', async (t) => {
  const store = await temporaryStore(t);
  const leases = (): string[] => readdirSync(join(store.root, 'leases'));
  {
    await using other = await openStore(store.root);
    assert.deepEqual(leases(), []);
    other.content.has(digestOf('x'));
    assert.equal(leases().length, 1);
  }
  assert.deepEqual(leases(), []);
  const child = await startUser(store.root, `store.pin('snapshot', 'x')`);
  await kill(child);
  assert.equal(leases().length, 1);
  await store.content.put(Buffer.from('garbage'));
  await store.collect([]);
  assert.deepEqual(leases(), readdirSync(join(store.root, 'leases')).slice(0, 1));
});

test('removalTurns() give what living processes use, and nobody pins anything in between', async (t) => {
  const store = await temporaryStore(t);
  using turns = store.removalTurns();
  const child = await startUser(store.root, `store.pin('snapshot', 'one'); setTimeout(() => store.pin('snapshot', 'two'), 300)`);
  const pinned = (): Promise<boolean[]> => turns.take((pins) => ['one', 'two'].map((name) => pins.has('snapshot', name)));
  assert.deepEqual(await pinned(), [true, false]);
  const during = await turns.take(() => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
    return readFileSync(join(store.root, 'leases', String(readdirSync(join(store.root, 'leases'))[0])), 'utf8');
  });
  assert.equal(during, 'snapshot one\n');
  while (!(await pinned())[1]);
  await kill(child);
});

test('whoever asks in what way for a blob keeps it from being removed', async (t) => {
  const store = await temporaryStore(t);
  const ways: Record<string, (content: Store['content'], digest: Digest) => unknown> = {
    has: (content, digest) => content.has(digest),
    size: (content, digest) => content.size(digest),
    health: async (content, digest) => await content.health(digest),
    read: async (content, digest) => await content.read(digest),
    open: (content, digest) => closeSync(content.open(digest)),
    put: async (content) => await content.put(Buffer.from('put')),
  };
  for (const [way, ask] of Object.entries(ways)) {
    const { digest } = await store.content.put(Buffer.from(way));
    await using user = await openStore(store.root);
    await ask(user.content, digest);
    await store.collect([]);
    assert.equal(user.unpinned.content.has(digest), true, way);
  }
});

test('a disk that takes no lease keeps everything from being removed instead', async (t) => {
  const directory = temporaryDirectory(t);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,nr_inodes=200', 'none', directory]);
  try {
    const root = join(directory, 'root');
    {
      await using store = await openStore(root);
      await store.content.put(Buffer.from('garbage'));
    }
    execFileSync('sh', ['-c', `for i in $(seq 200); do touch ${directory}/$i || break; done`], { stdio: 'ignore' });
    {
      await using user = await openStore(root);
      assert.ok(user.content.has(digestOf('garbage')));
      await using other = await openStore(root, { signal: AbortSignal.timeout(300) });
      await assert.rejects(other.collect([]), { name: 'AbortError' });
    }
    execFileSync('sh', ['-c', `rm ${directory}/[0-9]*`]);
    await using other = await openStore(root);
    assert.equal(await other.collect([]), 'garbage'.length);
  } finally {
    execFileSync('umount', [directory]);
  }
});

test('openStore() refuses a file system without flock(2)', async (t) => {
  const root = join(temporaryDirectory(t), 'root');
  const script = `import { openStore } from ${JSON.stringify(new URL('../../src/store/open-store.js', import.meta.url).href)};
    await openStore(${JSON.stringify(root)}).catch(({ code, message, hint }) => console.log(code, message, hint));`;
  const args = ['-f', '-qq', '-o', '/dev/null', '-e', 'inject=flock:error=ENOLCK', process.execPath, '--input-type=module', '-e', script];
  assert.match(
    execFileSync('strace', args, { encoding: 'utf8' }),
    /^ERR_TSBUILD_STORE_INVALID Cannot use .* has no locks \(flock: ENOLCK\) Name a directory on a local disk/,
  );
});

test('collect() survives indexes that name each other a thousand times and an image whose manifest is gone', async (t) => {
  const store = await temporaryStore(t);
  let inner = await putImage(store, [Buffer.from('layer')]);
  for (let depth = 0; depth < 6; depth++) {
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: Array.from({ length: 1000 }, () => inner) }));
    inner = { mediaType, ...(await store.content.put(bytes)) };
  }
  await store.images.set('deep', inner);
  const broken = await putImage(store, [Buffer.from('broken')]);
  await store.images.set('broken', broken);
  rmSync(store.content.path(broken.digest));
  await store.collect([]);
  assert.ok(store.content.has(digestOf('layer')));
  assert.equal(store.content.has(digestOf('broken')), false);
});

test('a user other than the owner cannot enter the store', async (t) => {
  const store = await temporaryStore(t);
  chmodSync(join(store.root, '..'), 0o755);
  const listing = () => execFileSync('ls', [store.root], { uid: 65534, gid: 65534, stdio: 'pipe' });
  assert.throws(listing, /Permission denied/);
});
