import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { MAIN, tsbuild } from './_tsbuild.ts';

const root = mkdtempSync(path.join(tmpdir(), 'tsbuild-cli-'));
after(() => rmSync(root, { recursive: true, force: true }));

test('tsbuild prints help and version on standard output and exits with 0', () => {
  const { code, stdout, stderr } = tsbuild(['--help']);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^Usage: tsbuild/);
  assert.match(tsbuild(['version']).stdout, /^tsbuild \d+\.\d+\.\d+ \(Node /);
});

test('tsbuild exits with 2 and shows the usage for bad usage, with nothing on standard output', () => {
  for (const args of [[], ['--tga', 'x', '.'], ['--root', root, '--jobs', 'many', '.'], ['--root', root, '--label', 'x', '.']]) {
    const { code, stdout, stderr } = tsbuild(args);
    assert.deepEqual([code, stdout], [2, ''], args.join(' '));
    assert.match(stderr, /^ERR_TSBUILD_USAGE: /);
  }
});

test('tsbuild exits with 1 for a failed build and says where it failed', () => {
  const { code, stdout, stderr } = tsbuild(['--root', root, path.join(root, 'nothing-here')]);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /^ERR_TSBUILD_(CONTEXT|DOCKERFILE)_NOT_FOUND: Cannot /m);
  assert.doesNotMatch(stderr, /\n {4}at /);
});

test('tsbuild --progress json reports the error as an event', () => {
  const { stderr } = tsbuild(['--root', root, '--progress', 'json', path.join(root, 'nothing-here')]);
  const last = JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '') as { kind: string; code: string };
  assert.equal(last.kind, 'error');
  assert.match(last.code, /^ERR_TSBUILD_/);
});

test('tsbuild images of an empty store is a heading, -q nothing and json an empty array', () => {
  assert.match(tsbuild(['images', '--root', root]).stdout, /^NAME +DIGEST/);
  assert.equal(tsbuild(['images', '-q', '--root', root]).stdout, '');
  assert.deepEqual(JSON.parse(tsbuild(['images', '--format', 'json'], { env: { ...process.env, TSBUILD_ROOT: root } }).stdout), []);
});

test('tsbuild commands on an image that is not there fail with 1 and name it', () => {
  for (const args of [
    ['inspect', 'nope:1'],
    ['tag', 'nope:1', 'x:1'],
    ['rmi', 'nope:1'],
    ['push', 'nope:1'],
    ['save', 'nope:1', '-o', '/dev/null'],
  ]) {
    const { code, stderr } = tsbuild([...args, '--root', root]);
    assert.equal(code, 1, args.join(' '));
    assert.match(stderr, /ERR_TSBUILD_IMAGE_NOT_FOUND: .*nope:1/);
  }
});

test('tsbuild imports, tags, lists, inspects, saves and removes an image', () => {
  const tar = execFileSync('tar', ['-c', '-C', path.resolve('docs'), '.']);
  const imported = tsbuild(['import', '-', 'docs:1', '--root', root], { input: tar });
  assert.equal(imported.code, 0, imported.stderr);
  const digest = imported.stdout.trim();
  assert.match(digest, /^sha256:[0-9a-f]{64}$/);
  assert.equal(tsbuild(['tag', 'docs:1', 'docs:2', '--root', root]).stdout, `${digest}\n`);
  assert.equal(tsbuild(['images', '-q', '--root', root]).stdout, `${digest}\n${digest}\n`);
  const details = JSON.parse(tsbuild(['inspect', 'docs:2', '--root', root]).stdout) as { descriptor: { digest: string } };
  assert.equal(details.descriptor.digest, digest);
  const archive = path.join(root, 'docs.tar');
  assert.equal(tsbuild(['save', 'docs:1', '-o', archive, '--root', root]).stdout, `${digest}\n`);
  assert.match(execFileSync('tar', ['-tf', archive], { encoding: 'utf8' }), /^oci-layout$/m);
  assert.equal(tsbuild(['rmi', 'docs:1', 'docs:2', '--root', root]).code, 0);
  assert.equal(tsbuild(['images', '-q', '--root', root]).stdout, '');
});

test('tsbuild ends with 128+n when a signal stops it', async () => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    const child = spawn(process.execPath, [MAIN, 'import', '-', 'never:1', '--root', root], { stdio: ['pipe', 'pipe', 'pipe'] });
    setTimeout(() => child.kill(signal), 800);
    const second = setTimeout(() => child.kill(signal), 6000);
    const [exitCode] = (await once(child, 'exit')) as [number | null];
    clearTimeout(second);
    assert.equal(exitCode, code, signal);
  }
});

test('tsbuild survives a reader that goes away', () => {
  const line = `'${process.execPath}' '${MAIN}' --help | true; exit \${PIPESTATUS[0]}`;
  const run = execFileSync('bash', ['-c', `${line.replace('exit', 'echo')}`], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  assert.match(run.trim(), /^(0|141)$/);
});

test('tsbuild ends where what it printed cannot be brought to the disk', () => {
  const printed = path.join(root, 'printed');
  const inject = ['-f', '-qq', '-o', '/dev/null', '-P', printed, '-e', 'trace=fsync', '-e', 'inject=fsync:error=ENOSPC'];
  const command = ['sh', '-c', '"$0" "$1" images --root "$2" > "$3"', process.execPath, MAIN, root, printed];
  execFileSync('strace', [...inject, ...command], { timeout: 30_000, killSignal: 'SIGKILL' });
  assert.match(readFileSync(printed, 'utf8'), /^NAME /);
});
