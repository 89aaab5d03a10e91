/** The forms of RUN's mounts and switches, of ONBUILD, and of the newer flags of COPY and ADD that Docker's reference manual shows. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TsbuildError } from '../../src/index.ts';
import { type Manual, openManual, textsOf } from './_manual.ts';

let manual: Manual;

before(async () => {
  manual = await openManual();
});
after(() => manual[Symbol.dispose]());

describe('the manual on RUN --mount: build()', { concurrency: 1 }, () => {
  test('binds the context and stages for one step', async () => {
    const lines = [
      ...['FROM busybox AS tools', 'RUN printf "#!/bin/sh\\necho tool ran\\n" > /tool && chmod +x /tool', 'FROM busybox', 'WORKDIR /src'],
      ...[
        'RUN --mount=type=bind,target=. cat notes.txt',
        'RUN --mount=from=tools,source=/tool,target=/bin/tool tool',
        'RUN ls -A . /bin/tool || true',
      ],
    ];
    const { output, tree } = await manual.try({ lines, files: { 'notes.txt': 'bound\n' } });
    assert.match(output, /^bound\ntool ran\n/);
    assert.match(output, /No such file/);
    assert.deepEqual(Object.keys(tree), ['/src']);
  });

  test('keeps a cache for the next build, and its owner and mode', async () => {
    const lines = (text: string) => [
      ...[
        'FROM busybox',
        'USER app',
        `RUN --mount=type=cache,target=/cache,id=manual,uid=1000,mode=0700 cat /cache/seen; stat -c %u:%a /cache; echo ${text} > /cache/seen`,
      ],
    ];
    assert.match((await manual.try({ lines: lines('first') })).output, /1000:700\n/);
    const { output, tree } = await manual.try({ lines: lines('second') });
    assert.equal(output, 'first\n1000:700\n');
    assert.deepEqual(tree, {});
  });

  test('shares a cache by its target, locked where it says so', async () => {
    const count = 'for i in $(seq 50); do echo $(( $(cat /var/cache/apt/n || echo 0) + 1 )) > /var/cache/apt/n; done';
    const stage = (name: string) => [
      `FROM busybox AS ${name}`,
      `RUN --mount=type=cache,target=/var/cache/apt,sharing=locked ${count} # ${name}`,
    ];
    const lines = [
      ...stage('a'),
      ...stage('b'),
      'RUN true',
      'FROM busybox',
      'COPY --from=a /bin/busybox /a',
      'COPY --from=b /bin/busybox /b',
      'RUN --mount=type=cache,target=/var/cache/apt cat /var/cache/apt/n',
    ];
    assert.match((await manual.try({ lines })).output, /100\n$/);
  });

  test('gives a tmpfs of a size', async () => {
    const { output, tree } = await manual.try({
      lines: ['FROM busybox', 'RUN --mount=type=tmpfs,target=/scratch,size=1m df -m /scratch | tail -1 && touch /scratch/x'],
    });
    assert.match(output, /^tmpfs +1 /);
    assert.deepEqual(tree, {});
  });

  test('gives secrets as files and as variables', async () => {
    const secrets = { aws: { value: 'key file\n' }, API_KEY: { value: 'api key' } };
    const lines = [
      ...['FROM busybox', 'RUN --mount=type=secret,id=aws,target=/root/.aws/credentials cat /root/.aws/credentials'],
      ...[
        'RUN --mount=type=secret,id=API_KEY,env=API_KEY echo $API_KEY',
        'RUN --mount=type=secret,id=aws cat /run/secrets/aws',
        'RUN ls -A /root /run; echo "[$API_KEY]"',
      ],
    ];
    const { output, config, history, tree } = await manual.try({ lines, secrets });
    assert.match(output, /^key file\napi key\nkey file\n/);
    assert.match(output, /\n\[\]\n/);
    assert.ok(!JSON.stringify([config, history, tree]).includes('api key'));
    assert.deepEqual(tree, {});
  });

  test('refuses to go on without a secret that is required', async () => {
    const lines = ['FROM busybox', 'RUN --mount=type=secret,id=absent,required=true true'];
    await assert.rejects(manual.try({ lines }), (error) => error instanceof TsbuildError && error.location?.range.startLine === 2);
  });
});

describe('the manual on RUN --security and shebangs: build()', { concurrency: 1 }, () => {
  test('takes --security=insecure only where the caller allows it', async () => {
    const lines = ['FROM busybox', 'RUN --security=insecure grep CapEff /proc/self/status'];
    await assert.rejects(
      manual.try({ lines }),
      (error) => error instanceof TsbuildError && /--allow/.test(`${error.message} ${error.hint}`),
    );
    const { output } = await manual.try({ lines, allow: ['security.insecure'] });
    assert.match(output, /^CapEff:\t0*[1-9a-f][0-9a-f]{9,}\n$/);
    assert.notEqual(output, 'CapEff:\t00000000a80425fb\n');
  });

  test('executes a heredoc that names its interpreter', async () => {
    const lines = ['FROM busybox', 'RUN <<EOT', '#!/bin/awk -f', 'BEGIN { print "hello world" }', 'EOT'];
    assert.equal((await manual.try({ lines })).output, 'hello world\n');
  });
});

describe('the manual on newer flags of COPY and ADD: build()', { concurrency: 2 }, () => {
  test('keeps parent directories with --parents, from the pivot on', async () => {
    const files = { 'x/a.txt': 'xa', 'y/a.txt': 'ya', 'x/y/b.txt': 'xyb' };
    const lines = [
      ...['FROM scratch', 'COPY ./x/a.txt ./y/a.txt /no_parents/', 'COPY --parents ./x/a.txt ./y/a.txt /parents/'],
      ...['COPY --parents ./x/./y/*.txt /pivot/', 'COPY --parents ./**/*.txt /all/'],
    ];
    assert.deepEqual(textsOf(await manual.try({ lines, files })), {
      ...{ '/no_parents/a.txt': 'ya', '/parents/x/a.txt': 'xa', '/parents/y/a.txt': 'ya', '/pivot/y/b.txt': 'xyb' },
      ...{ '/all/x/a.txt': 'xa', '/all/y/a.txt': 'ya', '/all/x/y/b.txt': 'xyb' },
    });
  });

  // The manual shows a wildcard that names files themselves; BuildKit copies those all the same, and so do we (case exclude-glob-source).
  test('leaves out what --exclude matches below its sources', async () => {
    const files = { 'home/a.md': 'md', 'home/a.txt': 'txt', 'homer/b.txt': 'b', 'homer/c': 'c' };
    const lines = ['FROM scratch', 'COPY --exclude=*.txt hom* /mydir/', 'ADD --exclude=*.txt --exclude=*.md hom* /two/'];
    assert.deepEqual(textsOf(await manual.try({ lines, files })), { '/mydir/a.md': 'md', '/mydir/c': 'c', '/two/c': 'c' });
  });

  test('copies with --link into a layer of its own', async () => {
    const { tree } = await manual.try({ lines: ['FROM busybox', 'COPY --link f /foo/bar/', 'ADD --link f /tmp/'], files: { f: 'linked' } });
    assert.deepEqual(textsOf({ tree }), { '/foo/bar/f': 'linked', '/tmp/f': 'linked' });
  });
});

describe('the manual on ONBUILD and platforms: build()', { concurrency: 2 }, () => {
  test('runs the triggers of a base right after FROM', async () => {
    const lines = [
      ...['FROM busybox AS base', 'ONBUILD ADD . /app/src', 'ONBUILD RUN cat /app/src/code > /built', 'FROM base', 'RUN cat /built'],
    ];
    const { output, tree, config } = await manual.try({ lines, files: { code: 'source' } });
    assert.equal(output, 'source');
    assert.equal(tree['/built']?.text, 'source');
    assert.equal(config['OnBuild'], undefined);
  });

  test('copies from another stage in a trigger', async () => {
    const lines = [
      'FROM busybox AS base',
      'ONBUILD COPY --from=assets /asset /asset',
      'FROM busybox AS assets',
      'RUN echo one > /asset',
      'FROM base',
    ];
    assert.equal((await manual.try({ lines })).tree['/asset']?.text, 'one\n');
  });

  test('lets a stage run on the platform of the builder', async () => {
    const lines = [
      'FROM --platform=$BUILDPLATFORM busybox AS build',
      'ARG TARGETPLATFORM',
      'ARG BUILDPLATFORM',
      'RUN echo "on $BUILDPLATFORM for $TARGETPLATFORM"',
    ];
    const { output } = await manual.try({ lines });
    const [, on, wanted] = /^on (\S+) for (\S+)\n$/.exec(output) ?? [];
    assert.ok(on !== undefined && on === wanted, output);
  });
});
