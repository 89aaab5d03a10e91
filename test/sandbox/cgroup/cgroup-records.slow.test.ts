import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { removeDeadCgroups } from '../../../src/sandbox/cgroup/cgroup-records.ts';

const recordsUrl = new URL('../../../src/sandbox/cgroup/cgroup-records.js', import.meta.url).href;

const SWEEPER = `
  import { openRecord, removeDeadCgroups } from ${JSON.stringify(recordsUrl)};
  const [directory, count] = process.argv.slice(-2);
  process.stdin.once('data', () => {
    for (let i = 0; i < Number(count); i++) {
      removeDeadCgroups(directory);
      const record = openRecord(directory);
      record.add('/sys/fs/cgroup/never-made');
      record.remove();
    }
    process.stdin.destroy();
  });
  console.log('ready');`;

test('openRecord() and removeDeadCgroups() of many processes at once keep out of each other’s way', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tsbuild-records-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  for (let i = 0; i < 300; i++) writeFileSync(join(directory, `dead${i}`), '/sys/fs/cgroup/never-made\n');
  const sweepers = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', SWEEPER, directory, '400'], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  const codes = sweepers.map((child) => new Promise((resolve) => child.once('exit', resolve)));
  await Promise.all(sweepers.map((child) => new Promise((resolve) => child.stdout.once('data', resolve))));
  for (const child of sweepers) child.stdin.write('go');
  assert.deepEqual(await Promise.all(codes), Array(6).fill(0));
  assert.deepEqual(readdirSync(directory), []);
});

const cgroupsUrl = new URL('../../../src/sandbox/cgroup/step-cgroup.js', import.meta.url).href;

const MAKER = `
  import { existsSync } from 'node:fs';
  import { openCgroups } from ${JSON.stringify(cgroupsUrl)};
  const [directory, cgroupParent, count] = process.argv.slice(-3);
  process.stdin.once('data', async () => {
    for (let i = 0; i < Number(count); i++) {
      const group = openCgroups(directory).make({ memory: 64 << 20, cgroupParent });
      if (!group.join.every(existsSync)) throw new Error('Somebody took ' + group.join);
      await new Promise((resolve) => setImmediate(resolve));
      if (!group.join.every(existsSync)) throw new Error('Somebody took ' + group.join);
      await group.remove();
    }
    process.stdin.destroy();
  });
  console.log('ready');`;

test('openCgroups() of many processes at once share the parent that they name, and take no group of each other', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tsbuild-records-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const parent = `/of-a-test-${process.pid}/inner`;
  const makers = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', MAKER, directory, parent, '100'], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  const codes = makers.map((child) => new Promise((resolve) => child.once('exit', resolve)));
  await Promise.all(makers.map((child) => new Promise((resolve) => child.stdout.once('data', resolve))));
  for (const child of makers) child.stdin.write('go');
  assert.deepEqual(await Promise.all(codes), Array(4).fill(0));
  removeDeadCgroups(directory);
  assert.deepEqual(readdirSync(directory), []);
});
