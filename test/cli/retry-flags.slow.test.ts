import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { type FaultRule, startFaultProxy } from '../registry/fault-proxy.ts';
import { MAIN, tsbuild } from './_tsbuild.ts';

const root = mkdtempSync(path.join(tmpdir(), 'tsbuild-retry-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** Pulls from a registry that fails so; returns how often it was asked. */
async function askedBy(flags: readonly string[], fault: FaultRule['fault']): Promise<number> {
  await using proxy = await startFaultProxy();
  proxy.break({ times: 1000, fault });
  const args = [MAIN, 'pull', '--root', root, ...flags, `${proxy.host}/app:1`];
  await assert.rejects(promisify(execFile)(process.execPath, args), { code: 1 });
  return proxy.requests.length;
}

test('--retry says how often a request is sent again, and --retry-delay after how long', async () => {
  const unavailable = { kind: 'answer', status: 503 } as const;
  assert.equal(await askedBy(['--retry', '2', '--retry-delay', '10ms'], unavailable), 3);
  assert.equal(await askedBy(['--retry', '0'], unavailable), 1);
  assert.equal(await askedBy(['--retry', '6', '--retry-delay', '1ms'], unavailable), 7);
  assert.equal(await askedBy(['--retry-delay', '1ms'], unavailable), 5);
});

test('--retry does not ask again what a registry refuses for good', async () => {
  assert.equal(await askedBy(['--retry', '9', '--retry-delay', '1ms'], { kind: 'answer', status: 403 }), 1);
});

test('--retry counts where we would give up sooner', async () => {
  const short = { kind: 'answer', status: 200, headers: { 'content-length': '100', connection: 'close' }, body: '' } as const;
  const [usual, told] = [await askedBy(['--retry-delay', '1ms'], short), await askedBy(['--retry', '6', '--retry-delay', '1ms'], short)];
  assert.ok(usual < 7, `${usual}`);
  assert.equal(told, 7);
});

test('--retry and --retry-delay refuse what is no number and no time', () => {
  for (const args of [
    ['--retry', '-1'],
    ['--retry', '101'],
    ['--retry', 'x'],
    ['--retry-delay', '5'],
  ]) {
    assert.equal(tsbuild(['pull', '--root', root, ...args, 'app']).code, 2, args.join(' '));
  }
});
