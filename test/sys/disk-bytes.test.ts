import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { diskBytes } from '../../src/sys/disk-bytes.ts';

test('diskBytes() is what du counts: sparse files, hard links, links and odd names', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-disk-bytes-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const script = `cd "$1" && truncate -s 1G sparse && head -c 300000 /dev/urandom > full && ln full twin && mkdir -p a/b/c && ln full a/b/c/third
    ln -s / a/link && mkfifo a/pipe && head -c 5000 /dev/zero > "$(printf 'a/\\377 \\n')" && for i in $(seq 3000); do : > a/b/$i; done`;
  execFileSync('sh', ['-euc', script, 'sh', directory]);
  const du = Number(execFileSync('du', ['-s', '-B1', directory], { encoding: 'utf8' }).split('\t')[0]);
  assert.equal(await diskBytes(directory), du);
  assert.ok(du < 2 << 20);
  assert.equal(await diskBytes(path.join(directory, 'none')), 0);
  await assert.rejects(diskBytes(directory, AbortSignal.abort(new Error('enough'))), /enough/);
});

test('diskBytes() stays on one file system', async (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-disk-bytes-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const script =
    'mkdir "$1/m" && mount -t tmpfs none "$1/m" && head -c 1M /dev/zero > "$1/m/x" && exec "$2" --input-type=module -e "$3" "$1"';
  const module = JSON.stringify(new URL('../../src/sys/disk-bytes.js', import.meta.url).href);
  const program = `import { diskBytes } from ${module}; console.log(await diskBytes(process.argv.at(-1)));`;
  const told = execFileSync('unshare', ['-m', 'sh', '-euc', script, 'sh', directory, process.execPath, program], { encoding: 'utf8' });
  assert.ok(Number(told) < 100_000, told);
});
