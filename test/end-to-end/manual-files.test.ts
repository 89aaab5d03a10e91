/** The forms of COPY and ADD that Docker's reference manual shows, with what it says that they do. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Manual, openManual, textsOf } from './_manual.ts';

let manual: Manual;

before(async () => {
  manual = await openManual();
});
after(() => manual[Symbol.dispose]());

for (const keyword of ['COPY', 'ADD'] as const) {
  describe(`the manual on ${keyword}: build()`, { concurrency: 2 }, () => {
    test('copies several files into a directory', async () => {
      const { tree } = await manual.try({
        lines: ['FROM busybox', `${keyword} file1.txt file2.txt /usr/src/things/`],
        files: { 'file1.txt': '1', 'file2.txt': '2' },
      });
      assert.deepEqual(textsOf({ tree }), { '/usr/src/things/file1.txt': '1', '/usr/src/things/file2.txt': '2' });
      assert.equal(tree['/usr/src/things']?.is, 'dir 0755 0:0');
    });

    test('matches wildcards', async () => {
      const files = { 'a.png': 'a', 'b.png': 'b', 'index.js': 'js', 'index.ts': 'ts', 'index.jsx': 'jsx', 'arr[0].txt': 'bracket' };
      const lines = ['FROM busybox', `${keyword} *.png /dest/`, `${keyword} index.?s /dest/`, `${keyword} arr[[]0].txt /dest/`];
      const texts = textsOf(await manual.try({ lines, files }));
      assert.deepEqual(texts, {
        ...{ '/dest/a.png': 'a', '/dest/arr[0].txt': 'bracket', '/dest/b.png': 'b', '/dest/index.js': 'js', '/dest/index.ts': 'ts' },
      });
    });

    test('gives the contents of a directory and not the directory', async () => {
      const texts = textsOf(
        await manual.try({ lines: ['FROM busybox', `${keyword} dir /dest`], files: { 'dir/x': 'x', 'dir/sub/y': 'y' } }),
      );
      assert.deepEqual(texts, { '/dest/sub/y': 'y', '/dest/x': 'x' });
    });

    test('tells by a trailing slash whether the destination is a directory', async () => {
      const files = { 'index.js': 'js' };
      const at = async (destination: string) =>
        Object.keys(
          textsOf(await manual.try({ lines: ['FROM busybox', 'WORKDIR /usr/src/app', `${keyword} index.js ${destination}`], files })),
        );
      assert.deepEqual(await at('/abs'), ['/abs']);
      assert.deepEqual(await at('/abs/'), ['/abs/index.js']);
      assert.deepEqual(await at('rel'), ['/usr/src/app/rel']);
      assert.deepEqual(await at('rel/'), ['/usr/src/app/rel/index.js']);
      assert.deepEqual(await at('.'), ['/usr/src/app/index.js']);
    });

    test('takes names with spaces in the JSON form', async () => {
      const texts = textsOf(
        await manual.try({ lines: ['FROM busybox', `${keyword} ["a file.txt", "/the dest/"]`], files: { 'a file.txt': 's' } }),
      );
      assert.deepEqual(texts, { '/the dest/a file.txt': 's' });
    });

    test('sets owners by name and number, and modes', async () => {
      const lines = [
        ...[
          'FROM busybox',
          'RUN echo mygroup:x:77: >> /etc/group',
          `${keyword} --chown=55:mygroup f /files/1/`,
          `${keyword} --chown=app f /files/2/`,
        ],
        ...[
          `${keyword} --chown=1 f /files/3/`,
          `${keyword} --chown=10:11 f /files/4/`,
          `${keyword} --chown=app:mygroup --chmod=644 f /files/5/`,
        ],
        ...[
          `${keyword} --chmod=755 f /app/1`,
          'ARG MODE=440',
          `${keyword} --chmod=$MODE f /app/2`,
          `${keyword} --chmod=u=rwX,go=rX f /app/3`,
        ],
      ];
      const { tree } = await manual.try({ lines, files: { f: 'f' } });
      const is = (name: string) => tree[name]?.is;
      assert.deepEqual(
        [1, 2, 3, 4, 5].map((number) => is(`/files/${number}/f`)),
        ['55:77', '1000:1000', '1:1', '10:11', '1000:77'].map((owner) => `file 0644 ${owner}`),
      );
      assert.deepEqual(['/app/1', '/app/2', '/app/3'].map(is), ['file 0755 0:0', 'file 0440 0:0', 'file 0644 0:0']);
    });
  });
}

describe('the manual on COPY --from: build()', { concurrency: 2 }, () => {
  test('copies from a stage by name or number, and from an image', async () => {
    const lines = [
      ...['FROM busybox AS build', 'RUN echo built > /myapp', 'FROM scratch', 'COPY --from=build /myapp /usr/bin/'],
      ...['COPY --from=0 myapp /by-number', 'COPY --from=busybox:latest /etc/passwd /passwd'],
    ];
    const texts = textsOf(await manual.try({ lines }));
    assert.deepEqual([texts['/usr/bin/myapp'], texts['/by-number']], ['built\n', 'built\n']);
    assert.match(texts['/passwd'] ?? '', /^root:/);
  });
});

describe('the manual on heredocs of COPY: build()', { concurrency: 2 }, () => {
  test('writes them as files, with variables unless the delimiter is quoted', async () => {
    const lines = [
      ...['FROM busybox', 'ARG FOO=bar', 'COPY <<-EOT /expanded.sh', '\techo "hello ${FOO}"', 'EOT'],
      ...['COPY <<-"EOT" /script.sh', '\techo "hello ${FOO}"', '\tEOT', 'RUN FOO=abc ash /script.sh'],
      ...['COPY <<robots.txt <<humans.txt /usr/share/', '(robots content)', 'robots.txt', '(humans content)', 'humans.txt'],
    ];
    const { tree, output } = await manual.try({ lines });
    assert.equal(output, 'hello abc\n');
    assert.deepEqual(textsOf({ tree }), {
      ...{ '/expanded.sh': 'echo "hello bar"\n', '/script.sh': 'echo "hello ${FOO}"\n' },
      ...{ '/usr/share/humans.txt': '(humans content)\n', '/usr/share/robots.txt': '(robots content)\n' },
    });
  });
});
