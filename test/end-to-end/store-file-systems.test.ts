/** X16: state directories on what is no local disk: it works there, or is refused for what the file system lacks. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BIN, type CommandResult, makeWorld, runCommand, type World } from './_world.ts';

let world: World;
let context: string;
let base: string;
/** Layers of the build on this machine's own disk. */
let expected: string;

before(async () => {
  world = await makeWorld();
  base = path.join(world.directory, 'base');
  await world.succeed(['-o', `type=oci,tar=false,dest=${base}`, world.context({ Dockerfile: 'FROM busybox\n' })]);
  context = world.context({
    Dockerfile: [
      'FROM base AS first',
      'RUN mkdir /d && echo 1 > /d/f && ln /d/f /d/g && chmod 2750 /d && chown 7:8 /d/g && rm /etc/group',
      'FROM base',
      'COPY --from=first /d /d',
      'COPY --link a /l/a',
      // Where the kernel lays no overlay, a directory that was made anew is told by what is gone from it: so none is.
      'RUN --mount=type=cache,target=/c --mount=type=secret,id=s cat /run/secrets/s > /c/s && rm /d/f /d/g && echo 2 > /d/h',
    ].join('\n'),
    a: 'a',
    secret: 'hush',
  });
  const made = await runCommand('sh', ['-euc', BUILDS, 'sh', ...commands(path.join(world.directory, 'own'))], { env: environment() });
  assert.equal(made.code, 0, made.stderr);
  expected = made.stdout.split('\n')[0] ?? '';
});
after(async () => await world[Symbol.asyncDispose]());

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  TSBUILD_ROOT: undefined,
  NODE_EXTRA_CA_CERTS: undefined,
  NODE: process.execPath,
  BIN,
});

/** The image's digest; then of the same build, of which nothing may run; then two at once that are new, and what du and prune make of it. */
const BUILDS = `ROOT=$1; shift
"$NODE" "$BIN" --root "$ROOT" "$@"; "$NODE" "$BIN" --root "$ROOT" "$@"
pids=; for n in 1 2; do "$NODE" "$BIN" --root "$ROOT" --no-cache "$@" > /dev/null & pids="$pids $!"; done; for pid in $pids; do wait "$pid"; done
"$NODE" "$BIN" --root "$ROOT" du > /dev/null; "$NODE" "$BIN" --root "$ROOT" prune --force --all > /dev/null
"$NODE" "$BIN" --root "$ROOT" run --network=none b:1 ls /d`;

function commands(root: string): string[] {
  const secret = `id=s,src=${path.join(context, 'secret')}`;
  const dated = ['--build-arg', 'SOURCE_DATE_EPOCH=1700000000', '-o', 'type=image,name=b:1,rewrite-timestamp=true'];
  return [root, '--network=none', '--build-context', `base=oci-layout://${base}`, '--secret', secret, ...dated, context];
}

async function on(mount: string): Promise<CommandResult> {
  const place = path.join(world.directory, 'place');
  mkdirSync(place, { recursive: true });
  const script = `cd "$0"; ${mount}; ${BUILDS}`;
  const args = [
    '--mount',
    '--pid',
    '--fork',
    '--mount-proc',
    '--propagation',
    'private',
    'sh',
    '-euc',
    script,
    place,
    ...commands(path.join(place, 'at/state')),
  ];
  return await runCommand('unshare', args, { env: environment() });
}

const FILE_SYSTEMS: Readonly<Record<string, { readonly mount: string; readonly needs?: string }>> = {
  tmpfs: { mount: 'mount -t tmpfs tmpfs .; cd .; mkdir at' },
  overlay: {
    mount: 'mount -t tmpfs tmpfs .; cd "$PWD"; mkdir l u w at; mount -t overlay -o lowerdir=l,upperdir=u,workdir=w overlay at',
  },
  fuse: {
    needs: 'fuse2fs',
    mount:
      'mount -t tmpfs tmpfs .; cd "$PWD"; mkdir at; truncate -s 300M disk; mkfs.ext4 -q -F disk; fuse2fs disk at; grep -q "$PWD/at fuse" /proc/mounts',
  },
};

describe('X16 a state directory', () => {
  for (const [name, { mount, needs }] of Object.entries(FILE_SYSTEMS)) {
    const skip = needs === undefined || isThere(needs) ? false : `${needs} is not there`;
    test(`X16 on ${name} makes the same image, and finds it again`, { skip }, async () => {
      const { code, stdout, stderr } = await on(mount);
      assert.equal(code, 0, stderr.slice(-2000));
      assert.deepEqual(stdout.trim().split('\n'), [expected, expected, 'h']);
    });
  }

  for (const errno of ['EOPNOTSUPP', 'ENOSYS', 'ENOLCK']) {
    test(`X16 whose locks end with ${errno} is refused by name, and nothing is made`, async () => {
      const root = path.join(world.directory, `unlocked-${errno}`);
      const strace = ['-f', '-qq', '-o', '/dev/null', '-e', 'trace=flock', '-e', `inject=flock:error=${errno}`];
      for (const args of [['images'], ['-t', 'b:1', context], ['prune', '--force']]) {
        const { code, stderr } = await runCommand('strace', [...strace, process.execPath, BIN, '--root', root, ...args]);
        assert.equal(code, 1, stderr);
        assert.match(
          stderr,
          new RegExp(
            `^ERR_TSBUILD_STORE_INVALID: Cannot use the state directory ${root}: its file system has no locks \\(flock: \\w+\\)$`,
            'm',
          ),
        );
        assert.match(stderr, /hint: Name a directory on a local disk with --root\./);
      }
      for (const name of ['blobs/sha256', 'refs', 'leases', 'ingest'])
        assert.equal(execFileSync('ls', [path.join(root, name)], { encoding: 'utf8' }), '');
    });
  }
});

function isThere(program: string): boolean {
  return ['/usr/bin', '/usr/sbin', '/bin', '/sbin'].some((directory) => existsSync(path.join(directory, program)));
}
