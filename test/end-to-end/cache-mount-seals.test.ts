/** Cache mounts whose files changed between two builds: noticed before a step uses them, told by name, and the cache starts anew. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BIN, type CommandResult, makeWorld, runCommand, type World } from './_world.ts';

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

const warnings = (stderr: string): string[] => stderr.split('\n').filter((line) => line.startsWith('WARNING'));
const TOLD = (id: string) => `WARNING: The disk has changed files of the cache mount "${id}" at /c: it starts anew`;

/** Runs every time. */
async function build(context: string, ...flags: string[]): Promise<CommandResult> {
  const done = await world.tsbuild(['--progress=plain', '--no-cache', '--network=none', ...flags, context]);
  assert.equal(done.code, 0, done.stderr);
  return done;
}

const counting = (id: string): string =>
  world.context({
    Dockerfile: `FROM busybox\nRUN --mount=type=cache,id=${id},target=/c echo has $(ls /c) && echo some > /c/file && mkdir -p /c/d && echo $$ > /c/d/pid\n`,
  });

/** The slot of the cache that the Dockerfiles call `id`. */
function slotOf(id: string): string {
  const all = path.join(world.root, 'cache/mounts');
  const found = readdirSync(all).find((name) => readFileSync(path.join(all, name, '0/id'), 'utf8') === id);
  return path.join(all, found ?? assert.fail(id), '0');
}

const isSealed = (slot: string): boolean => lstatSync(path.join(slot, 'seal'), { throwIfNoEntry: false }) !== undefined;

/** One byte, as if nobody had been there. */
function flip(file: string): void {
  const { atime, mtime } = statSync(file);
  writeFileSync(file, 'X', { flag: 'r+' });
  utimesSync(file, atime, mtime);
}

test('a cache mount is used as it was left, and one with a byte that changed behind its back starts anew, with one warning', async () => {
  const context = counting('flipped');
  assert.match((await build(context)).stderr, / has\n/);
  const again = await build(context);
  assert.match(again.stderr, / has d file\n/);
  assert.deepEqual(warnings(again.stderr), []);
  flip(path.join(slotOf('flipped'), 'data/file'));
  const after = await build(context);
  assert.match(after.stderr, / has\n/);
  assert.deepEqual(warnings(after.stderr), [TOLD('flipped')]);
  assert.deepEqual(warnings((await build(context)).stderr), []);
  assert.deepEqual(readdirSync(path.join(world.root, 'trash')), []);
});

test('two steps that share a cache mount at once compare it once, and the last of them seals it', async () => {
  const meet = (own: string, other: string) =>
    `RUN --mount=type=cache,id=together,target=/c touch /c/${own} && for i in $(seq 100); do [ -e /c/${other} ] && exit 0; sleep 0.1; done; exit 1`;
  const Dockerfile = [
    ...['FROM busybox AS a', meet('a', 'b'), 'FROM busybox AS b', meet('b', 'a'), 'FROM busybox'],
    ...['COPY --from=a /etc/passwd /a', 'COPY --from=b /etc/passwd /b'],
  ].join('\n');
  const context = world.context({ Dockerfile });
  assert.deepEqual(warnings((await build(context, '--jobs=2')).stderr), []);
  const slot = slotOf('together');
  assert.ok(isSealed(slot));
  flip(path.join(slot, 'data/a'));
  assert.deepEqual(warnings((await build(context, '--jobs=2')).stderr), [TOLD('together')]);
  assert.ok(isSealed(slot));
  assert.deepEqual(warnings((await build(context, '--jobs=2')).stderr), []);
});

test('what a step that was killed has written is used as it is, and sealed by the next', async () => {
  const context = world.context({
    Dockerfile:
      'FROM busybox\nARG WAIT\nRUN --mount=type=cache,id=killed,target=/c echo has $(cat /c/half); echo $WAIT > /c/half; sleep $WAIT; echo whole > /c/half\n',
  });
  await build(context, '--build-arg=WAIT=0');
  const slot = slotOf('killed');
  const child = spawn(process.execPath, [BIN, '--no-cache', '--network=none', '--build-arg=WAIT=60', context], {
    env: { ...process.env, TSBUILD_ROOT: world.root },
    stdio: 'ignore',
  });
  const closed = new Promise((resolve) => child.on('close', resolve));
  while (readFileSync(path.join(slot, 'data/half'), 'utf8') !== '60\n') await sleep(20);
  assert.equal(isSealed(slot), false);
  child.kill('SIGKILL');
  await closed;
  const next = await build(context, '--build-arg=WAIT=0');
  assert.match(next.stderr, / has 60\n/);
  assert.deepEqual(warnings(next.stderr), []);
  assert.ok(isSealed(slot));
});

test('a cache mount that is exported is compared before', async () => {
  const context = counting('exported');
  await build(context);
  flip(path.join(slotOf('exported'), 'data/file'));
  // The step is in the cache, so it does not look.
  const cache = `type=local,dest=${path.join(world.directory, 'cache')},mounts=true,mode=max`;
  const { code, stderr } = await world.tsbuild(['--progress=plain', '--network=none', '--cache-to', cache, context]);
  assert.equal(code, 0, stderr);
  assert.deepEqual(warnings(stderr), ['WARNING: The disk has changed files of the cache mount "exported": it starts anew']);
  assert.equal(existsSync(path.join(slotOf('exported'), 'data')), false);
});

/** Builds on a disk of its own by a script: `build` uses the cache, `remount` is between two of them. */
async function onDisk(id: string, script: string): Promise<string> {
  const directory = mkdtempSync(path.join(world.directory, 'disk-'));
  execFileSync('gcc', ['-O2', '-o', path.join(directory, 'lose-power'), path.resolve('test/end-to-end/_lose-power.c')]);
  await world.succeed(['-o', `type=oci,tar=false,dest=${directory}/base`, world.context({ Dockerfile: 'FROM busybox\n' })]);
  const command = ['-m', '--propagation', 'private', 'bash', '-euc', `${DISK}\n${script}`, directory, process.execPath, BIN, counting(id)];
  const { code, stderr } = await runCommand('unshare', command);
  assert.equal(code, 0, stderr);
  return stderr;
}

const DISK = `cd "$0"; mkdir mnt; truncate -s 512M img; mkfs.ext4 -q img; loop=$(losetup -f --show img); trap 'cd /; umount "$0/mnt" || true; losetup -d "$loop"' EXIT
build() { "$1" "$2" --root mnt/state --progress=plain --no-cache --network=none --build-context busybox=oci-layout://base -o type=cacheonly "$3" > /dev/null; }
boot() { mount "$loop" mnt; echo "$1" > boot; mount --bind boot /proc/sys/kernel/random/boot_id; }
boot 1; build "$@"`;

test('a cache mount is used after a start of the machine; a file that fsck lost meanwhile is noticed', async () => {
  const lose =
    'file=$(cd mnt && find state/cache/mounts -name file); umount mnt; debugfs -w -R "rm /$file" "$loop" 2> /dev/null; boot 3; build "$@"';
  const stderr = await onDisk('lost', `umount mnt; boot 2; build "$@"; ${lose}`);
  assert.deepEqual(warnings(stderr), [TOLD('lost')]);
  assert.match(stderr, / has d file\n.* has\n/s);
});

test('a file that a loss of power cut after its build is noticed', async () => {
  // The journal is written, and what is in the files is not yet.
  const commit = 'touch mnt/x; sync mnt/x; cmp <(echo some) mnt/state/cache/mounts/*/0/data/file';
  const lost = 'umount mnt; boot 2; test ! -s mnt/state/cache/mounts/*/0/data/file; build "$@"';
  const stderr = await onDisk('cut', `${commit}; ./lose-power mnt; ${lost}`);
  assert.deepEqual(warnings(stderr), [TOLD('cut')]);
});
