import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { judgeImages } from './_judges.ts';
import { makeWorld, type World } from './_world.ts';

let world: World;
let count = 0;

before(async () => {
  world = await makeWorld();
});
after(async () => await world[Symbol.asyncDispose]());

type Files = Readonly<Record<string, string | Buffer>>;

/** Builds `lines` on busybox, runs `script` in the image, and returns its output. */
async function buildAndRun(lines: readonly string[], script: string, files: Files = {}): Promise<string> {
  const tag = `add${count++}:1`;
  const context = world.context({ ...files, Dockerfile: `FROM busybox\n${lines.join('\n')}\n` });
  await world.succeed(['-t', tag, context]);
  return await world.succeed(['run', tag, 'sh', '-c', script]);
}

async function failing(lines: readonly string[], files: Files = {}): Promise<string> {
  const result = await world.tsbuild(['-t', 'bad:1', world.context({ ...files, Dockerfile: `FROM busybox\n${lines.join('\n')}\n` })]);
  assert.equal(result.code, 1, `${result.stderr}${result.stdout}`);
  assert.equal((await world.tsbuild(['inspect', 'bad:1'])).code, 1, 'nothing was named');
  return result.stderr;
}

/** A tar of a few kinds of files, made by GNU tar. */
function sampleTar(): Buffer {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-tar-'));
  try {
    mkdirSync(path.join(directory, 'd/sub'), { recursive: true });
    writeFileSync(path.join(directory, 'd/f'), 'content');
    writeFileSync(path.join(directory, 'd/run'), '#!/bin/sh\n', { mode: 0o755 });
    symlinkSync('f', path.join(directory, 'd/l'));
    execFileSync('ln', [path.join(directory, 'd/f'), path.join(directory, 'd/sub/hard')]);
    const args = ['-c', '--sort=name', '--owner=1000', '--group=10', '--mtime=@1600000000', '-C', directory, '.'];
    return execFileSync('tar', args);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** One entry by hand: what tar programs refuse to write. */
function tarEntry(name: string, { type = '0', link = '', body = '' }: { type?: string; link?: string; body?: string } = {}): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 'latin1');
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write(link, 157, 'latin1');
  header.write('ustar\x0000', 257);
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  const content = Buffer.alloc(Math.ceil(body.length / 512) * 512);
  content.write(body);
  return Buffer.concat([header, content]);
}

const END = Buffer.alloc(1024);
const LIST = 'cd /to && find . | sort && stat -c "%n %u:%g %a %Y" d d/f d/run && readlink d/l && stat -c %h d/f';
const LISTED = [
  ...['.', './d', './d/f', './d/l', './d/run', './d/sub', './d/sub/hard'],
  ...['d 1000:10 755 1600000000', 'd/f 1000:10 644 1600000000', 'd/run 1000:10 755 1600000000'],
].join('\n');

describe('ADD of the build context', () => {
  test('places files, directories and globs as COPY does', async () => {
    const output = await buildAndRun(
      ['WORKDIR /w', 'ADD a.txt b.txt ./', 'ADD dir /abs/', 'ADD *.md docs/', 'ADD --chown=app:wheel --chmod=0640 a.txt /owned/'],
      'find /w /abs | sort; stat -c "%U:%G %a" /owned/a.txt',
      { 'a.txt': 'a', 'b.txt': 'b', 'dir/x': 'x', 'r.md': 'r' },
    );
    assert.deepEqual(output.split('\n'), ['/abs', '/abs/x', '/w', '/w/a.txt', '/w/b.txt', '/w/docs', '/w/docs/r.md', 'app:wheel 640']);
  });

  for (const [name, compress] of [
    ['plain', (tar: Buffer) => tar],
    ['gzip', (tar: Buffer) => gzipSync(tar)],
    ['bzip2', (tar: Buffer) => execFileSync('bzip2', ['-c'], { input: tar })],
    ['xz', (tar: Buffer) => execFileSync('xz', ['-c'], { input: tar })],
    ['zstd', (tar: Buffer) => execFileSync('zstd', ['-qc'], { input: tar })],
  ] as const) {
    test(`unpacks a ${name} archive by its content, with its owners, modes and times`, async () => {
      const output = await buildAndRun(['ADD data.bin /to/'], LIST, { 'data.bin': compress(sampleTar()) });
      assert.equal(output, `${LISTED}\nf\n2`);
    });
  }

  test('--chown changes all owners of an archive, --chmod none of its modes', async () => {
    const output = await buildAndRun(['ADD --chown=app --chmod=0700 a.tar /to'], 'stat -c "%u:%g %a" /to /to/d /to/d/f /to/d/run', {
      'a.tar': sampleTar(),
    });
    assert.deepEqual(output.split('\n'), ['1000:1000 755', '1000:1000 755', '1000:1000 644', '1000:1000 755']);
  });

  test('COPY, --unpack=false and a directory leave archives as they are', async () => {
    const tar = sampleTar();
    const output = await buildAndRun(
      ['COPY a.tar /copied', 'ADD --unpack=false a.tar /added', 'ADD dir /dir'],
      'stat -c "%n %s" /copied /added /dir/b.tar',
      { 'a.tar': tar, 'dir/b.tar': tar },
    );
    assert.equal(output, `/copied ${tar.length}\n/added ${tar.length}\n/dir/b.tar ${tar.length}`);
  });

  test('copies what only looks like an archive', async () => {
    const output = await buildAndRun(['ADD empty.tar.gz text.tar short.gz plain.gz /to/'], 'cd /to && stat -c "%n %s" *', {
      'empty.tar.gz': '',
      'text.tar': 'no tar at all\n'.repeat(100),
      'short.gz': Buffer.from('1f8b08', 'hex'),
      'plain.gz': gzipSync('x'.repeat(2000)),
    });
    assert.deepEqual(
      output.split('\n').map((line) => line.split(' ')[0]),
      ['empty.tar.gz', 'plain.gz', 'short.gz', 'text.tar'],
    );
  });

  test('unpacks through a link of the image, over what is there, and stays in the image', async () => {
    const archive = Buffer.concat([
      tarEntry('lib/inner', { body: 'in' }),
      tarEntry('out', { type: '2', link: '/etc' }),
      tarEntry('out/added', { body: 'by link' }),
      tarEntry('was-file', { type: '5' }),
      tarEntry('/absolute', { body: 'a' }),
      END,
    ]);
    const output = await buildAndRun(
      ['RUN mkdir -p /real/lib && ln -s /real /to && echo keep > /real/lib/kept && echo x > /real/was-file', 'ADD a.tar /to'],
      'readlink /to; cat /real/lib/inner /real/lib/kept /etc/added; test -d /real/was-file && cat /real/absolute',
      { 'a.tar': archive },
    );
    assert.equal(output, '/real\ninkeep\nby linka');
  });

  for (const [what, archive, message] of [
    ['a name with ..', [tarEntry('ok'), tarEntry('../../evil', { body: 'x' })], /Cannot unpack a\.tar: .*"\.\."/],
    ['a hard link to nothing', [tarEntry('h', { type: '1', link: 'nowhere' })], /Cannot unpack a\.tar: .*nowhere/],
    ['a hard link out', [tarEntry('h', { type: '1', link: '../../etc/passwd' })], /Cannot unpack a\.tar: .*"\.\."/],
    ['the name of a whiteout', [tarEntry('d/.wh.x')], /Cannot unpack a\.tar: .*d\/\.wh\.x/],
    ['the whiteout device', [tarEntry('c', { type: '3' })], /Cannot unpack a\.tar: .*0:0/],
    ['a broken second header', [tarEntry('a'), Buffer.alloc(512, 7)], /Cannot unpack a\.tar: the checksum/],
    ['an end in the middle', [tarEntry('a', { body: 'x'.repeat(600) }).subarray(0, 700)], /Cannot unpack a\.tar: it ends/],
  ] as const) {
    test(`refuses an archive with ${what}, with its line`, async () => {
      const text = await failing(['ADD a.tar /to/'], {
        'a.tar': Buffer.concat([...archive, END]).subarray(0, what === 'an end in the middle' ? 700 : undefined),
      });
      assert.match(text, message);
      assert.match(text, /ERR_TSBUILD_ARCHIVE_INVALID/);
      assert.match(text, /Dockerfile:2/);
    });
  }

  test('a cut xz archive is refused, and no program of the context or the image runs', async () => {
    const xz = execFileSync('xz', ['-c'], { input: Buffer.concat([sampleTar(), Buffer.alloc(1 << 20, 1)]) });
    const trojan = world.context({ xz: '#!/bin/sh\ntouch /tmp/tsbuild-trojan-ran\n' });
    execFileSync('chmod', ['+x', path.join(trojan, 'xz')]);
    const context = world.context({ Dockerfile: 'FROM busybox\nADD a /to/\n', a: xz.subarray(0, -20) });
    const result = await world.tsbuild([context], { cwd: trojan, env: { PATH: `${trojan}:${process.env['PATH']}` } });
    assert.equal(result.code, 1);
    assert.match(result.stderr, /Cannot unpack a: xz: Unexpected end of input/);
    assert.throws(() => readFileSync('/tmp/tsbuild-trojan-ran'), { code: 'ENOENT' });
  });

  test('is a step of its own in the cache: --unpack and the content count', async () => {
    const files = { 'a.tar': sampleTar() };
    const build = async (line: string) => {
      const result = await world.tsbuild(['--progress', 'json', world.context({ ...files, Dockerfile: `FROM busybox\n${line}\n` })]);
      assert.equal(result.code, 0, result.stderr);
      return result.stdout.trim();
    };
    const first = await build('ADD a.tar /c/');
    assert.equal(await build('ADD a.tar /c/'), first);
    assert.notEqual(await build('ADD --unpack=false a.tar /c/'), first);
    assert.notEqual(await build('COPY a.tar /c/'), first);
  });
});

describe('COPY and ADD of here-documents', () => {
  test('write files with the name of the delimiter, variables expanded where it is not quoted', async () => {
    const output = await buildAndRun(
      [
        ...['ARG WHO=world', 'COPY <<one <<"two" /d/'],
        ...['hello $WHO, "${WHO:+set}" \\$WHO \'quoted\'', 'one', 'raw $WHO "x"', 'two'],
        ...['ADD --chmod=u+x --chown=app <<-EOF /script', '\t#!/bin/sh', '\techo tabs', '\tEOF'],
        ...['COPY a.txt <<b.txt /mixed/', 'b', 'b.txt'],
      ],
      'cat /d/one /d/two; /script; stat -c "%a %U" /script /d/one; ls /mixed',
      { 'a.txt': 'a' },
    );
    assert.deepEqual(output.split('\n'), [
      ...['hello world, "set" $WHO \'quoted\'', 'raw $WHO "x"', 'tabs', '744 app', '644 root', 'a.txt', 'b.txt'],
    ]);
  });

  test('the content is part of the key, the history names only the delimiter', async () => {
    const digest = async (body: string) =>
      await world.succeed(['-t', 'heredoc:1', world.context({ Dockerfile: `FROM busybox\nCOPY <<EOF /f\n${body}\nEOF\n` })]);
    assert.notEqual(await digest('a'), await digest('b'));
    const { config } = JSON.parse(await world.succeed(['inspect', 'heredoc:1'])) as { config: { history: { created_by: string }[] } };
    assert.equal(config.history.at(-1)?.created_by, 'COPY <<EOF /f # buildkit');
  });
});

describe('symbolic --chmod', () => {
  test('changes each file from the mode it has', async () => {
    const output = await buildAndRun(
      ['COPY --chmod=u=rwX,go=rX tree /t', 'COPY --chmod=g+w,o= f /f'],
      'stat -c "%n %a" /t /t/sub /t/sub/x /f',
      { 'tree/sub/x': '', f: '' },
    );
    assert.deepEqual(output.split('\n'), ['/t 755', '/t/sub 755', '/t/sub/x 644', '/f 660']);
  });

  test('a mode that is none is refused with its line', async () => {
    assert.match(await failing(['COPY --chmod=u+q Dockerfile /f']), /Cannot use --chmod=u\+q.*it is no mode/);
  });
});

test('images with ADD are good for other tools', async () => {
  assert.ok((await judgeImages(world)) > 5);
});
