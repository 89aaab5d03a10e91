import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { commitFiles, type GitServer, git, makeRepository, serveGit } from './_git.ts';
import { BIN, makeWorld, type World } from './_world.ts';

let world: World;
let server: GitServer;
let repositories = '';
let app = '';
let first = '';
let second = '';
let url = '';

before(async () => {
  world = await makeWorld();
  repositories = path.join(world.directory, 'repositories');
  mkdirSync(repositories);
  makeRepository(repositories, 'lib.git', { 'lib.txt': 'lib' });
  server = await serveGit(repositories);
  app = makeRepository(repositories, 'app.git', {
    Dockerfile: 'FROM busybox\nCOPY . /in/\n',
    f: 'one',
    '.dockerignore': 'f',
    'sub/Dockerfile': 'FROM busybox\nCOPY . /in/\n',
    'sub/run': '#!/bin/sh\n',
  });
  chmodSync(path.join(app, 'sub/run'), 0o750);
  symlinkSync('f', path.join(app, 'link'));
  symlinkSync('sub', path.join(app, 'linked'));
  first = commitFiles(app, {});
  git(app, 'tag', '-a', 'v1', '-m', 'tag');
  git(app, 'branch', 'same');
  second = commitFiles(app, { f: 'two' });
  git(app, 'tag', 'same');
  git(app, 'update-ref', 'refs/pull/1/head', first);
  url = `${server.base}/app.git`;
});
after(async () => {
  await server[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

async function buildAndRun(args: readonly string[], script: string): Promise<string> {
  await world.succeed(['-t', 'git:1', ...args]);
  return await world.succeed(['run', 'git:1', 'sh', '-c', script]);
}

const adding = (line: string): string => world.context({ Dockerfile: `FROM busybox\n${line}\n` });

describe('a git address as the build context', () => {
  test('gives the default branch with modes 644 and 755, links, owner 0:0, no .git, and no ignore file counts', async () => {
    const listing = await buildAndRun(
      [url],
      'cd /in; cat f; echo; for n in f sub/run link sub .git; do stat -c "%n %A %u:%g" $n 2>&1; done; readlink link',
    );
    assert.equal(
      listing,
      "two\nf -rw-r--r-- 0:0\nsub/run -rwxr-xr-x 0:0\nlink lrwxrwxrwx 0:0\nsub drwxr-xr-x 0:0\nstat: can't stat '.git': No such file or directory\nf",
    );
  });

  test('takes branches, tags, commits, beginnings of commits and other references, in both forms', async () => {
    const one = [
      '#v1',
      `#${first}`,
      `#${first.slice(0, 9)}`,
      '#refs/pull/1/head',
      '#pull/1/head',
      '#same',
      '#refs/tags/v1',
      '?tag=v1',
      '?branch=same',
      `?ref=${first}`,
    ];
    const two = ['#main', '#', '', '?ref=main', '?branch=main', '?tag=same', `?checksum=${second}`, `?commit=${second.slice(0, 8)}`];
    for (const [expected, forms] of [
      ['one', one],
      ['two', two],
    ] as const)
      for (const form of forms) assert.equal(await buildAndRun([`${url}${form}`], 'cat /in/f'), expected, form);
  });

  test('takes a directory of it, and -f is a file there', async () => {
    assert.equal(await buildAndRun([`${url}#main:sub`], 'ls /in'), 'Dockerfile\nrun');
    assert.equal(await buildAndRun([`${url}?subdir=sub`], 'ls /in'), 'Dockerfile\nrun');
    assert.equal(await buildAndRun(['-f', 'sub/Dockerfile', url], 'cat /in/f'), 'two');
  });

  test('is not fetched again by a second build', async () => {
    await world.succeed([`${url}#v1`]);
    server.asked.length = 0;
    assert.match((await world.tsbuild(['--progress', 'plain', `${url}#v1`])).stderr, /CACHED/);
    assert.deepEqual(server.asked.filter(({ url: asked }) => !asked.includes('info/refs')).length, 1, 'one ls-refs and no fetch');
  });

  test('with a .git of its own where BUILDKIT_CONTEXT_KEEP_GIT_DIR is set', async () => {
    const found = await buildAndRun(['--build-arg', 'BUILDKIT_CONTEXT_KEEP_GIT_DIR=1', url], 'cat /in/.git/HEAD');
    assert.equal(found, second);
  });

  test('is a named context, too', async () => {
    const context = world.context({ Dockerfile: 'FROM busybox\nCOPY --from=src f /f\nFROM src\nCOPY --from=0 /f /copy\n' });
    await world.succeed(
      ['-t', 'git:2', '--build-context', `src=${url}#v1`, '--target', 'stage-0', context].filter(
        (word) => word !== '--target' && word !== 'stage-0',
      ),
    );
    assert.ok(existsSync(context));
  });
});

describe('ADD of a git repository', () => {
  test('adds its files, or a directory of them, with the owner and mode that are asked for', async () => {
    assert.equal(
      await buildAndRun([adding(`ADD ${url}#v1 /w`)], 'cat /w/f; ls -a /w'),
      'one.\n..\n.dockerignore\nDockerfile\nf\nlink\nlinked\nsub',
    );
    assert.equal(
      await buildAndRun([adding(`ADD --exclude=sub/run --exclude=*file ${url} /w`)], 'ls /w /w/sub'),
      '/w:\nf\nlink\nlinked\nsub\n\n/w/sub:\nDockerfile',
    );
    assert.equal(await buildAndRun([adding(`ADD --chown=3:4 --chmod=700 ${url}?subdir=sub /w/`)], 'stat -c "%a %u:%g" /w/run'), '700 3:4');
  });

  test('with --keep-git-dir leaves a repository that git can use', async () => {
    const context = adding(`ADD --keep-git-dir=true ${url} /w/`);
    await world.succeed(['-t', 'git:3', context]);
    const tar = path.join(world.directory, 'kept.tar');
    await world.succeed(['save', '-o', tar, 'git:3']);
    const kept = path.join(world.directory, 'kept');
    mkdirSync(kept);
    execFileSync('tar', ['-xf', tar, '-C', kept]);
    for (const blob of readdirSync(path.join(kept, 'blobs/sha256'))) {
      try {
        execFileSync('tar', ['-xzf', path.join(kept, 'blobs/sha256', blob), '-C', kept, 'w'], { stdio: 'ignore' });
      } catch {
        // Another layer, or no layer.
      }
    }
    const clone = path.join(kept, 'w');
    assert.equal(git(clone, '-c', 'safe.directory=*', 'rev-parse', 'HEAD', 'main'), `${second}\n${second}`);
    assert.equal(git(clone, '-c', 'safe.directory=*', 'status', '--porcelain'), '');
    assert.equal(git(clone, '-c', 'safe.directory=*', 'remote', 'get-url', 'origin'), url);
  });

  test('with --checksum takes the commit or its beginning, and nothing else', async () => {
    assert.equal(await buildAndRun([adding(`ADD --checksum=${second.slice(0, 10)} ${url} /w`)], 'cat /w/f'), 'two');
    const { code, stderr } = await world.tsbuild([adding(`ADD --checksum=${first} ${url} /w`)]);
    assert.equal(code, 1);
    assert.match(stderr, /DIGEST_MISMATCH/);
  });

  test('runs again when the branch moves, and only then', async () => {
    const moving = makeRepository(repositories, 'moving.git', { f: '1' });
    const context = adding(`ADD ${server.base}/moving.git /w`);
    const build = async () => (await world.tsbuild(['--progress', 'plain', '-t', 'git:4', context])).stderr;
    assert.doesNotMatch(await build(), /CACHED/);
    assert.match(await build(), /CACHED/);
    commitFiles(moving, { f: '2' });
    assert.doesNotMatch(await build(), /CACHED/);
    assert.equal(await world.succeed(['run', 'git:4', 'cat', '/w/f']), '2');
  });

  test('gives the time of the commit where mtime=commit is asked for', async () => {
    assert.equal(await buildAndRun([adding(`ADD ${url}?mtime=commit /w`)], 'stat -c %Y /w/f /w/sub'), '981173106\n981173106');
  });

  test('takes submodules with it, by full and by relative addresses, unless they are turned off', async () => {
    const outer = makeRepository(repositories, 'outer.git', { own: 'own' });
    git(outer, 'submodule', '--quiet', 'add', `${repositories}/lib.git`, 'relative');
    git(outer, 'config', '-f', '.gitmodules', 'submodule.relative.url', '../lib.git');
    git(outer, 'submodule', '--quiet', 'add', `${repositories}/lib.git`, 'deep/full');
    git(outer, 'config', '-f', '.gitmodules', 'submodule.deep/full.url', `${server.base}/lib.git`);
    commitFiles(outer, {});
    assert.equal(
      await buildAndRun([adding(`ADD ${server.base}/outer.git /w`)], 'cat /w/relative/lib.txt /w/deep/full/lib.txt; ls -a /w/relative'),
      'liblib.\n..\nlib.txt',
    );
    assert.equal(await buildAndRun([adding(`ADD ${server.base}/outer.git?submodules=false /w`)], 'ls -A /w/relative'), '');
  });

  test('works where the server speaks the dumb protocol', async () => {
    git(app, 'update-server-info');
    const dumb = path.join(repositories, 'dumb');
    execFileSync('cp', ['-r', path.join(app, '.git'), dumb]);
    server.intercept = (request, response) => {
      const [file = '', query] = (request.url ?? '').split('?');
      if (!file.startsWith('/plain.git/')) return false;
      const at = path.join(dumb, file.slice('/plain.git/'.length));
      if (query !== undefined && !file.endsWith('info/refs')) response.writeHead(403).end();
      else if (existsSync(at)) response.writeHead(200).end(execFileSync('cat', [at]));
      else response.writeHead(404).end();
      return true;
    };
    assert.equal(await buildAndRun([adding(`ADD ${server.base}/plain.git#v1 /w`)], 'cat /w/f'), 'one');
    server.intercept = undefined;
  });
});

test('git:// is read from a real daemon', async () => {
  const port = 20_000 + (process.pid % 20_000);
  const daemon = spawn(
    'git',
    ['daemon', '--reuseaddr', '--listen=127.0.0.1', `--port=${port}`, `--base-path=${repositories}`, '--export-all', repositories],
    {
      env: { ...process.env, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
      stdio: 'ignore',
      detached: true,
    },
  );
  try {
    await sleep(500);
    assert.equal(await buildAndRun([`git://127.0.0.1:${port}/app.git#v1`], 'cat /in/f'), 'one');
  } finally {
    process.kill(-(daemon.pid ?? 0), 'SIGKILL');
  }
});

describe('a git address that must not work', () => {
  test('is refused without a command running: options, local paths, other protocols, what leaves the repository', async () => {
    const canary = path.join(world.directory, 'canary');
    const bad = [
      ...[
        `--upload-pack=touch ${canary};x.git`,
        `-utouch${canary}.git`,
        'ext::sh -c touch% /tmp/x.git',
        `file://${app}`,
        `file://${app}.git`,
      ],
      ...[
        `${url}#--upload-pack=touch${canary}`,
        `${url}#-x`,
        `${url}#main:../..`,
        `${url}#main:sub/../../x`,
        `${url}#main:.git`,
        `${url}#main:linked`,
      ],
      ...[
        `${url}#a..b`,
        `${url}#a~1`,
        `${url}#a^`,
        `${url}#@{-1}`,
        `${url}#a:b:..`,
        `${url}?foo=1`,
        `${url}?ref=a&ref=b`,
        `${url}?mtime=now`,
      ],
      ...[`${url}?checksum=xyz`, `${url}?submodules=maybe`, `${url}?ref=main&tag=v1`, `${url}?ref=main#v1`, `${url}#a.lock`, `${url}#a//b`],
      ...[
        'git@-oProxyCommand=x:app.git',
        'git@host:-x.git',
        'ssh://-oProxyCommand=touch/app.git',
        'ssh://-x@host/app.git',
        'git://-x/app.git',
      ],
      ...[
        'http://127.0.0.1:1/-x.git',
        `${url}#main:sub/run`,
        `${url}#main:nothing`,
        `${url}#nothing`,
        `${url}#${'0'.repeat(40)}`,
        `${url}#0000000`,
      ],
      ...[
        `${server.base}/nothing.git`,
        `${url}?keep-git-dir=2`,
        `${url}#main:a\\b`,
        `${url}?subdir=-x`,
        `${url}#%00`,
        'git://',
        'ssh:///x',
      ],
    ];
    for (const address of bad) {
      const result = await world.tsbuild([
        '--build-context',
        `x=${address}`,
        world.context({ Dockerfile: 'FROM busybox\nCOPY --from=x / /x\n' }),
      ]);
      assert.notEqual(result.code, 0, address);
      assert.match(result.stderr, /ERR_TSBUILD_/, address);
      assert.doesNotMatch(result.stderr, /INTERNAL|bug in tsbuild/, address);
    }
    assert.ok(!existsSync(canary));
  });

  test('in a submodule reads no file of this machine and starts nothing', async () => {
    const canary = path.join(world.directory, 'canary-submodule');
    const cases: [string, string][] = [
      ['/etc/.git', 'sub'],
      [`file://${app}`, 'sub'],
      [app, 'sub'],
      [`ext::sh -c touch% ${canary}`, 'sub'],
      [`--upload-pack=touch ${canary}`, 'sub'],
      ['../../../../../etc', 'sub'],
      [`${server.base}/lib.git`, 'sub\r'],
      ['ssh://-oProxyCommand=touch/x.git', 'sub'],
      [`-utouch ${canary}`, 'sub'],
    ];
    for (const [index, [address, at]] of cases.entries()) {
      const name = `hostile-${index}.git`;
      const outer = makeRepository(repositories, name, { own: 'own' });
      git(outer, 'update-index', '--add', '--cacheinfo', `160000,${git(path.join(repositories, 'lib.git'), 'rev-parse', 'HEAD')},${at}`);
      writeFileSync(
        path.join(outer, '.gitmodules'),
        `[submodule "s"]\n\tpath = "${at.replace('\r', '\r')}"\n\turl = "${address}"\n\tupdate = !touch ${canary}\n`,
      );
      git(outer, 'add', '.gitmodules');
      git(outer, 'commit', '-q', '-m', 'hostile');
      const result = await world.tsbuild([adding(`ADD ${server.base}/${name} /w`)]);
      assert.equal(result.code, 1, address);
      assert.match(result.stderr, /submodule|Cannot use the address/, address);
    }
    assert.ok(!existsSync(canary));
  });

  test('and hooks, filters and attributes of a repository run nothing', async () => {
    const canary = path.join(world.directory, 'canary-filter');
    const hostile = makeRepository(repositories, 'filter.git', {
      '.gitattributes': '* filter=evil diff=evil merge=evil\n*.bin filter=lfs\n',
      '.gitconfig': `[filter "evil"]\n\tsmudge = touch ${canary}\n[core]\n\tfsmonitor = touch ${canary}\n`,
      '.lfsconfig': '[lfs]\n\turl = http://127.0.0.1:1\n',
      'a.bin': 'version https://git-lfs.github.com/spec/v1\n',
      'hooks/post-checkout': `#!/bin/sh\ntouch ${canary}\n`,
    });
    chmodSync(path.join(hostile, 'hooks/post-checkout'), 0o755);
    commitFiles(hostile, {});
    for (const keep of ['', '--keep-git-dir=true ']) {
      assert.match(await buildAndRun([adding(`ADD ${keep}${server.base}/filter.git /w`)], 'cat /w/a.bin'), /git-lfs/);
    }
    assert.ok(!existsSync(canary));
  });

  test('and a server that advertises evil references changes nothing', async () => {
    const oid = 'a'.repeat(40);
    const line = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;
    server.intercept = (request, response) => {
      if (request.url?.startsWith('/evil.git/info/refs') !== true) return false;
      response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' });
      const body = `${line('# service=git-upload-pack\n')}0000${line(`${oid} HEAD\0symref=HEAD:--output=/tmp/x agent=x\n`)}${line(`${oid} refs/heads/--upload-pack=x\n`)}${line(`${oid} refs/heads/../../x\n`)}0000`;
      response.end(body);
      return true;
    };
    const result = await world.tsbuild([adding(`ADD ${server.base}/evil.git /w`)]);
    server.intercept = undefined;
    assert.equal(result.code, 1);
    assert.match(result.stderr, /FETCH_FAILED/);
  });
});

describe('credentials of a git address', () => {
  test('are sent to its host, and are in no message and no file of the state directory', async () => {
    const secret = 'hunter2secret';
    const withCredentials = url.replace('http://', `http://user:${secret}@`);
    server.asked.length = 0;
    await world.succeed(['-t', 'git:5', '--build-arg', 'BUILDKIT_CONTEXT_KEEP_GIT_DIR=1', `${withCredentials}#v1`]);
    const expected = `Basic ${Buffer.from(`user:${secret}`).toString('base64')}`;
    assert.ok(server.asked.length > 0);
    for (const { authorization } of server.asked) assert.equal(authorization, expected);
    for (const text of [secret, Buffer.from(`user:${secret}`).toString('base64')])
      assert.throws(() => execFileSync('grep', ['-r', '-l', '-a', text, world.root]), 'nothing has it');
    const failed = await world.tsbuild([`${withCredentials}#nothing`]);
    assert.doesNotMatch(failed.stderr + failed.stdout, new RegExp(secret));
  });

  test('do not follow a redirect to another host', async () => {
    await using other = await serveGit(repositories);
    server.intercept = (request, response) => {
      if (request.url?.startsWith('/moved.git') !== true) return false;
      response.writeHead(302, { location: `${other.base}${(request.url ?? '').replace('/moved.git', '/app.git')}` }).end();
      return true;
    };
    const plain = await world.tsbuild([adding(`ADD ${server.base}/moved.git#v1 /w`)]);
    assert.equal(plain.code, 0, plain.stderr);
    other.asked.length = 0;
    const result = await world.tsbuild([`${server.base.replace('http://', 'http://user:word@')}/moved.git`]);
    server.intercept = undefined;
    assert.equal(result.code, 1);
    assert.ok(other.asked.every(({ authorization }) => authorization === undefined));
  });
});

describe('secrets that open a git repository', () => {
  const basic = (token: string): string => `Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
  const guarded = (expected: string): void => {
    server.asked.length = 0;
    server.intercept = (request, response) => {
      if (request.headers.authorization === expected) return false;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      return true;
    };
  };

  test('GIT_AUTH_TOKEN opens contexts and sources of ADD, and nothing keeps it', async () => {
    guarded(basic('tokenvalue'));
    const secret = ['--secret', 'id=GIT_AUTH_TOKEN,env=TOKEN'];
    const env = { TOKEN: 'tokenvalue' };
    await world.succeed([...secret, `${url}#same`], { env });
    await world.succeed([...secret, adding(`ADD ${url}#same:sub /w`)], { env });
    const refused = await world.tsbuild([`${url}#v1`]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /FETCH_FAILED/);
    server.intercept = undefined;
    for (const text of ['tokenvalue', basic('tokenvalue').slice('Basic '.length)])
      assert.throws(() => execFileSync('grep', ['-r', '-l', '-a', text, world.root]), 'nothing has it');
  });

  test('GIT_AUTH_HEADER.host is sent to that host, and to no other', async () => {
    const { host } = new URL(server.base);
    guarded('Bearer abc');
    await world.succeed(['--secret', `id=GIT_AUTH_HEADER.${host},env=HEADER`, adding(`ADD ${url}#main:sub /x`)], {
      env: { HEADER: 'Bearer abc' },
    });
    const other = await world.tsbuild(['--secret', 'id=GIT_AUTH_HEADER.example.com,env=HEADER', adding(`ADD ${url}#main:sub /y`)], {
      env: { HEADER: 'Bearer abc' },
    });
    server.intercept = undefined;
    assert.equal(other.code, 1);
  });
});

test('a fetch that hangs ends with SIGINT, and so does git', async () => {
  server.intercept = (request) => request.url?.startsWith('/hangs.git') === true;
  const child = spawn(process.execPath, [BIN, `${server.base}/hangs.git`], {
    env: { ...process.env, TSBUILD_ROOT: world.root },
    stdio: 'ignore',
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  for (let wait = 0; wait < 100 && !gitRuns(); wait++) await sleep(50);
  assert.ok(gitRuns());
  child.kill('SIGINT');
  assert.equal(await ended, 130);
  for (let wait = 0; wait < 40 && gitRuns(); wait++) await sleep(50);
  server.intercept = undefined;
  assert.ok(!gitRuns());
});

/** Whether a git asks for what never answers. */
function gitRuns(): boolean {
  return readdirSync('/proc').some((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`${server.base}/hangs.git`) &&
        !readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(BIN)
      );
    } catch {
      return false;
    }
  });
}

test('builds at the same time on one repository fetch it once, each waiting for the other', async () => {
  const root = path.join(world.directory, 'other-state');
  server.asked.length = 0;
  const context = world.context({ Dockerfile: `FROM scratch\nADD ${url}#v1 /w\n` });
  await Promise.all([1, 2, 3, 4].map(async () => await world.succeed([context], { root })));
  const references = server.asked.filter(({ url: asked }) => asked.includes('info/refs')).length;
  // Each asks what the tag is now, and one of them fetches.
  assert.equal(references, 5);
});

test('--check of a git context reads its Dockerfile', async () => {
  assert.match(await world.succeed(['--check', `${url}#v1`]), /nothing found/);
});
