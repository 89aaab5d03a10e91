/** The forms that Docker's reference manual shows for everything but files and mounts, with what it says that they do. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TsbuildError } from '../../src/index.ts';
import { type Manual, openManual } from './_manual.ts';

let manual: Manual;

before(async () => {
  manual = await openManual();
});
after(() => manual[Symbol.dispose]());

describe('the manual on format and variables: build()', { concurrency: 2 }, () => {
  test('takes comments out of a continued line, and keeps # within an argument', async () => {
    const { output } = await manual.try({ lines: ['# a comment', 'FROM busybox', 'RUN echo first \\', '# between', '  second # third'] });
    assert.equal(output, 'first second\n');
    const { output: one } = await manual.try({ lines: ['FROM busybox', 'RUN echo "a # b"'] });
    assert.equal(one, 'a # b\n');
  });

  test('ignores white space before instructions and comments, and keeps it in arguments', async () => {
    const { output } = await manual.try({ lines: ['        # indented', '    FROM busybox', '   RUN echo "    hello\\', '       world"'] });
    assert.equal(output, '    hello       world\n');
  });

  test('treats what follows a comment or an unknown directive as comments', async () => {
    const lines = ['# About this file', '# escape=`', 'FROM busybox', 'RUN echo a\\', 'b'];
    assert.equal((await manual.try({ lines })).output, 'ab\n');
    assert.equal((await manual.try({ lines: ['# unknowndirective=value', ...lines.slice(1)] })).output, 'ab\n');
  });

  test('continues lines with the character of the escape directive', async () => {
    const { tree } = await manual.try({
      lines: ['# escape=`', '', 'FROM busybox', 'COPY testfile.txt /c:\\', 'RUN ls / `', '  > /list'],
      files: { 'testfile.txt': 'x' },
    });
    assert.equal(tree['/c:\\']?.is, 'file 0644 0:0');
    assert.match(tree['/list']?.text ?? '', /^c:\\$/m);
  });

  test('replaces variables in paths, and leaves an escaped one alone', async () => {
    const { config, tree } = await manual.try({
      lines: ['FROM busybox', 'ENV FOO=/bar', 'WORKDIR ${FOO}', 'ADD . $FOO', 'COPY \\$FOO /quux'],
      files: { $FOO: 'dollar', inner: 'i' },
    });
    assert.equal(config['WorkingDir'], '/bar');
    assert.equal(tree['/bar/inner']?.text, 'i');
    assert.equal(tree['/quux']?.text, 'dollar');
  });

  test('knows the modifiers of variables', async () => {
    const words = [
      '${unset:-word}',
      '${str:+word}',
      '${unset:+word}',
      '${str#f*b}',
      '${str##f*b}',
      '${str%b*}',
      '${str%%b*}',
      '${str/ba/fo}',
      '${str//ba/fo}',
    ];
    const { config } = await manual.try({
      lines: ['FROM busybox', 'ENV str=foobarbaz', `ENV ${words.map((word, i) => `r${i}=${word}`).join(' ')}`],
    });
    const values = (config['Env'] as string[]).slice(2).map((text) => text.slice(text.indexOf('=') + 1));
    assert.deepEqual(values, ['word', 'word', '', 'arbaz', 'az', 'foobar', 'foo', 'fooforbaz', 'fooforfoz']);
  });

  test('uses the values from before an instruction all through it', async () => {
    const { config } = await manual.try({ lines: ['FROM busybox', 'ENV abc=hello', 'ENV abc=bye def=$abc', 'ENV ghi=$abc'] });
    assert.deepEqual((config['Env'] as string[]).slice(1), ['abc=bye', 'def=hello', 'ghi=bye']);
  });
});

describe('the manual on .dockerignore: build()', { concurrency: 2 }, () => {
  const files = {
    'temp/x': '',
    tempa: '',
    'temporary.txt': '',
    'somedir/temporary.txt': '',
    'somedir/temp/y': '',
    'somedir/sub/temporary.txt': '',
    keep: '',
    'README.md': '',
    'README-secret.md': '',
    'NOTES.md': '',
  };
  const copied = async (ignore: readonly string[]) => {
    const { tree } = await manual.try({ lines: ['FROM scratch', 'COPY . /'], files: { ...files, '.dockerignore': ignore.join('\n') } });
    return Object.keys(tree)
      .filter((name) => tree[name]?.is.startsWith('file'))
      .sort();
  };

  test('leaves out what the patterns match at their depth', async () => {
    const left = await copied(['# comment', '*/temp*', '*/*/temp*', 'temp?']);
    assert.deepEqual(left, [
      '/.dockerignore',
      '/Dockerfile',
      '/NOTES.md',
      '/README-secret.md',
      '/README.md',
      '/keep',
      '/temp/x',
      '/temporary.txt',
    ]);
  });

  test('lets the last matching line decide', async () => {
    const markdown = async (ignore: readonly string[]) => (await copied(ignore)).filter((name) => name.endsWith('.md'));
    assert.deepEqual(await markdown(['*.md', '!README.md']), ['/README.md']);
    assert.deepEqual(await markdown(['*.md', '!README*.md', 'README-secret.md']), ['/README.md']);
    assert.deepEqual(await markdown(['*.md', 'README-secret.md', '!README*.md']), ['/README-secret.md', '/README.md']);
  });
});

describe('the manual on FROM and ARG: build()', { concurrency: 2 }, () => {
  test('takes ARGs before the first FROM into FROM, and into a stage that declares them again', async () => {
    const lines = ['ARG VERSION=latest', 'FROM busybox:$VERSION', 'ARG VERSION', 'RUN echo $VERSION > image_version'];
    assert.equal((await manual.try({ lines })).tree['/image_version']?.text, 'latest\n');
    const { output } = await manual.try({ lines: ['ARG VERSION=latest', 'FROM busybox:${VERSION}', 'RUN echo "[$VERSION]"'] });
    assert.equal(output, '[]\n');
  });

  test('gives an ARG its value from the line that declares it', async () => {
    const lines = ['FROM busybox', 'USER ${username:-some_user}', 'ARG username', 'USER $username'];
    const { config, history } = await manual.try({ lines, buildArgs: { username: 'app' } });
    assert.equal(config['User'], 'app');
    assert.ok(history.includes('(empty) USER some_user'), history.join('\n'));
  });

  test('ends the scope of an ARG with its stage', async () => {
    const stage = (name: string) => [`FROM busybox AS ${name}`, 'ARG SETTINGS', `RUN echo "${name}: $SETTINGS" > /${name}`];
    const { tree } = await manual.try({
      lines: [...stage('one'), ...stage('two'), 'RUN true', 'FROM two', 'COPY --from=one /one /', 'RUN echo "child: $SETTINGS" > /child'],
      buildArgs: { SETTINGS: 'set' },
    });
    assert.deepEqual([tree['/one']?.text, tree['/two']?.text, tree['/child']?.text], ['one: set\n', 'two: set\n', 'child: set\n']);
  });

  test('lets ENV win over an ARG before it, and takes the ARG as its default', async () => {
    const given = { CONT_IMG_VER: 'v2.0.1' };
    const fixed = ['FROM busybox', 'ARG CONT_IMG_VER', 'ENV CONT_IMG_VER=v1.0.0', 'RUN echo $CONT_IMG_VER'];
    assert.equal((await manual.try({ lines: fixed, buildArgs: given })).output, 'v1.0.0\n');
    const lines = ['FROM busybox', 'ARG CONT_IMG_VER', 'ENV CONT_IMG_VER=${CONT_IMG_VER:-v1.0.0}', 'RUN echo $CONT_IMG_VER'];
    assert.equal((await manual.try({ lines, buildArgs: given })).output, 'v2.0.1\n');
    assert.equal((await manual.try({ lines })).output, 'v1.0.0\n');
  });

  test('knows proxies without ARG and keeps them out of the image', async () => {
    const { output, config, history } = await manual.try({
      lines: ['FROM busybox', 'RUN echo "$HTTP_PROXY $http_proxy"'],
      buildArgs: { HTTP_PROXY: 'http://user:pass@proxy.example' },
    });
    assert.equal(output, 'http://user:pass@proxy.example http://user:pass@proxy.example\n');
    assert.ok(!JSON.stringify([config, history]).includes('proxy.example'));
  });

  test('tells a stage its platform once it asks', async () => {
    const { output } = await manual.try({ lines: ['FROM busybox', 'ARG TARGETPLATFORM', 'RUN echo "I\'m building for $TARGETPLATFORM"'] });
    assert.match(output, /^I'm building for linux\/\w+/);
  });

  test('runs a step again when an ARG declared before it has another value', async () => {
    const lines = ['FROM busybox', 'ARG CONT_VER', 'RUN echo hello'];
    await manual.try({ lines, buildArgs: { CONT_VER: '1' } });
    assert.equal((await manual.try({ lines, buildArgs: { CONT_VER: '1' }, noCache: false })).output, '');
    assert.equal((await manual.try({ lines, buildArgs: { CONT_VER: '2' }, noCache: false })).output, 'hello\n');
  });
});

describe('the manual on RUN, SHELL and heredocs: build()', { concurrency: 2 }, () => {
  test('has a shell form, an exec form and heredocs', async () => {
    const { output } = await manual.try({
      lines: [
        'FROM busybox',
        'RUN echo shell && \\',
        '    echo form',
        'RUN ["/bin/sh", "-c", "echo exec"]',
        'RUN <<EOF',
        'echo here',
        'echo $HOME',
        'EOF',
      ],
    });
    assert.equal(output, 'shell\nform\nexec\nhere\n/root\n');
  });

  test('expands nothing in exec form, and falls back to the shell for what is no JSON', async () => {
    const { output } = await manual.try({ lines: ['FROM busybox', 'RUN [ "echo", "$HOME" ]', 'RUN [ "sh", "-c", "echo $HOME" ]'] });
    assert.equal(output, '$HOME\n/root\n');
    // A Windows path with single backslashes is no JSON: the shell gets it all, and does not find [.
    await assert.rejects(manual.try({ lines: ['FROM busybox', 'RUN ["c:\\windows\\x.exe"]'] }), (error) => error instanceof TsbuildError);
  });

  test('uses the shell of SHELL, from its line on, for RUN, CMD and ENTRYPOINT', async () => {
    const { output, config } = await manual.try({
      lines: [
        'FROM busybox',
        'RUN echo $0',
        'SHELL ["/bin/sh", "-xc"]',
        'RUN true first',
        'SHELL ["/bin/sh", "-c"]',
        'RUN echo $-',
        'CMD run me',
      ],
    });
    assert.match(output, /^\S*sh\n\+ true first\n/);
    assert.deepEqual(config['Cmd'], ['/bin/sh', '-c', 'run me']);
    assert.deepEqual(config['Shell'], ['/bin/sh', '-c']);
  });

  test('runs heredocs through the shell, several of them, and through another interpreter', async () => {
    const { tree, output } = await manual.try({
      lines: [
        ...['FROM busybox', 'RUN <<EOT sh', '  set -ex', '  mkdir -p foo/bar', 'EOT'],
        ...['RUN <<FILE1 cat > file1 && <<FILE2 cat > file2', 'I am', 'first', 'FILE1', 'I am', 'second', 'FILE2'],
        ...['RUN awk -f - /dev/null <<EOT', 'BEGIN { print "hello world" }', 'EOT'],
      ],
    });
    assert.equal(tree['/foo/bar']?.is, 'dir 0755 0:0');
    assert.deepEqual([tree['/file1']?.text, tree['/file2']?.text], ['I am\nfirst\n', 'I am\nsecond\n']);
    assert.match(output, /hello world\n$/);
  });

  test('has no network with --network=none', async () => {
    const { output } = await manual.try({ lines: ['FROM busybox', 'RUN --network=none ls /sys/class/net'] });
    assert.equal(output, 'lo\n');
  });
});

describe('the manual on what an image says of itself: build()', { concurrency: 2 }, () => {
  test('takes labels of all forms', async () => {
    const { config } = await manual.try({
      lines: [
        ...[
          'FROM busybox',
          'LABEL "com.example.vendor"="ACME Incorporated"',
          'LABEL com.example.label-with-value="foo"',
          'LABEL version="1.0"',
        ],
        ...[
          'LABEL description="This text shows \\',
          'that values can span lines."',
          'LABEL multi.label1="value1" \\',
          '      multi.label2="value2" \\',
          '      other="value3"',
        ],
        ...['ENV name=x', 'LABEL example="foo-$name"', "LABEL single='foo-$name'"],
      ],
    });
    assert.deepEqual(config['Labels'], {
      ...{ 'com.example.vendor': 'ACME Incorporated', 'com.example.label-with-value': 'foo', version: '1.0' },
      ...{
        description: 'This text shows that values can span lines.',
        'multi.label1': 'value1',
        'multi.label2': 'value2',
        other: 'value3',
      },
      ...{ example: 'foo-x', single: 'foo-$name' },
    });
  });

  test('takes variables with quotes, with escapes, and in the old form', async () => {
    const { config } = await manual.try({
      lines: [
        'FROM busybox',
        'ENV MY_NAME="John Doe" MY_DOG=Rex\\ The\\ Dog \\',
        '    MY_CAT=fluffy',
        'ENV MY_VAR my-value',
        'ENV ONE TWO= THREE=world',
      ],
    });
    assert.deepEqual((config['Env'] as string[]).slice(1), [
      'MY_NAME=John Doe',
      'MY_DOG=Rex The Dog',
      'MY_CAT=fluffy',
      'MY_VAR=my-value',
      'ONE=TWO= THREE=world',
    ]);
  });

  test('sets a variable for one command, or with ARG for the build, without leaving it in the image', async () => {
    const { config, output } = await manual.try({
      lines: ['FROM busybox', "RUN FRONTEND=noninteractive sh -c 'echo $FRONTEND'", 'ARG FRONTEND=noninteractive', 'RUN echo $FRONTEND'],
    });
    assert.equal(output, 'noninteractive\nnoninteractive\n');
    assert.equal((config['Env'] as string[]).length, 1);
  });

  test('exposes ports with TCP as their default', async () => {
    const { config } = await manual.try({ lines: ['FROM busybox', 'EXPOSE 80/tcp', 'EXPOSE 80/udp', 'EXPOSE 8080'] });
    assert.deepEqual(config['ExposedPorts'], { '80/tcp': {}, '80/udp': {}, '8080/tcp': {} });
  });

  test('keeps what was written to a volume before it was declared', async () => {
    const { config, tree } = await manual.try({
      lines: [
        'FROM busybox',
        'RUN mkdir /myvol',
        'RUN echo "hello world" > /myvol/greeting',
        'VOLUME /myvol',
        'VOLUME ["/data"]',
        'VOLUME /var/log /var/db',
      ],
    });
    assert.equal(tree['/myvol/greeting']?.text, 'hello world\n');
    assert.deepEqual(Object.keys(config['Volumes'] as object).sort(), ['/data', '/myvol', '/var/db', '/var/log']);
  });

  test('chains working directories, and expands only what ENV set', async () => {
    assert.equal((await manual.try({ lines: ['FROM busybox', 'WORKDIR /a', 'WORKDIR b', 'WORKDIR c', 'RUN pwd'] })).output, '/a/b/c\n');
    const { output } = await manual.try({ lines: ['FROM busybox', 'ENV DIRPATH=/path', 'WORKDIR $DIRPATH/$DIRNAME', 'RUN pwd'] });
    assert.equal(output, '/path\n');
  });

  test('has a default user by name or number', async () => {
    assert.equal((await manual.try({ lines: ['FROM busybox', 'USER app', 'RUN id -un'] })).output, 'app\n');
    assert.equal((await manual.try({ lines: ['FROM busybox', 'USER 1234:10', 'RUN id -u; id -g'] })).output, '1234\n10\n');
  });

  test('checks health by a command, or not at all', async () => {
    const lines = ['FROM busybox', 'HEALTHCHECK --interval=5m --timeout=3s \\', '  CMD wget -q http://localhost/ || exit 1'];
    const { config } = await manual.try({ lines });
    assert.deepEqual(config['Healthcheck'], { Test: ['CMD-SHELL', 'wget -q http://localhost/ || exit 1'], Interval: 300e9, Timeout: 3e9 });
    assert.deepEqual((await manual.try({ lines: ['FROM busybox', 'HEALTHCHECK NONE'] })).config['Healthcheck'], { Test: ['NONE'] });
  });

  test('names the signal that stops a container, and the author', async () => {
    const { config, author } = await manual.try({ lines: ['FROM busybox', 'MAINTAINER someone@example.com', 'STOPSIGNAL SIGKILL'] });
    assert.deepEqual([config['StopSignal'], author], ['SIGKILL', 'someone@example.com']);
  });
});

describe('the manual on how CMD and ENTRYPOINT meet: build()', { concurrency: 2 }, () => {
  const entrypoints = { none: [], shell: ['ENTRYPOINT exec_entry p1_entry'], exec: ['ENTRYPOINT ["exec_entry", "p1_entry"]'] } as const;
  const commands = { none: [], exec: ['CMD ["exec_cmd", "p1_cmd"]'], shell: ['CMD exec_cmd p1_cmd'] } as const;
  const ENTRY = { none: undefined, shell: ['/bin/sh', '-c', 'exec_entry p1_entry'], exec: ['exec_entry', 'p1_entry'] };
  const COMMAND = { none: undefined, exec: ['exec_cmd', 'p1_cmd'], shell: ['/bin/sh', '-c', 'exec_cmd p1_cmd'] };
  for (const entry of ['none', 'shell', 'exec'] as const) {
    for (const command of ['none', 'exec', 'shell'] as const) {
      test(`writes ENTRYPOINT (${entry}) and CMD (${command}) as they are`, async () => {
        const { config } = await manual.try({ lines: ['FROM scratch', ...entrypoints[entry], ...commands[command]] });
        assert.deepEqual([config['Entrypoint'], config['Cmd']], [ENTRY[entry], COMMAND[command]]);
      });
    }
  }

  test('forgets the CMD of the base where a stage sets ENTRYPOINT', async () => {
    const lines = ['FROM busybox AS base', 'CMD ["inherited"]', 'FROM base', 'ENTRYPOINT ["top", "-b"]'];
    assert.equal((await manual.try({ lines })).config['Cmd'], undefined);
    assert.deepEqual((await manual.try({ lines: [...lines, 'CMD ["-c"]'] })).config['Cmd'], ['-c']);
  });
});
