import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runGit } from '../../src/context/git-command.ts';

/** Processes whose command line holds `text`. */
function processesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
      } catch {
        return false; // it has ended meanwhile
      }
    });
}

test('runGit gives the output and the exit code of git, and leaves nothing waiting', async () => {
  const call = { network: 'none', signal: new AbortController().signal, timeoutMs: 10_000 } as const;
  const { code, stdout } = await runGit({ ...call, args: ['version'] });
  assert.equal(code, 0);
  assert.match(stdout.toString(), /^git version /);
  assert.notEqual((await runGit({ ...call, args: ['no-such-command'] })).code, 0);
});

test('runGit reads no configuration of the user', async () => {
  const home = mkdtempSync(path.join(tmpdir(), 'tsbuild-git-'));
  const before = process.env['HOME'];
  try {
    writeFileSync(path.join(home, '.gitconfig'), '[user]\n\tname = of the caller\n');
    process.env['HOME'] = home;
    const call = { network: 'none', signal: new AbortController().signal, timeoutMs: 10_000 } as const;
    const { stdout } = await runGit({ ...call, args: ['config', '--get-all', 'user.name'] });
    assert.equal(stdout.toString(), '');
  } finally {
    process.env['HOME'] = before;
    rmSync(home, { recursive: true });
  }
});

test('runGit is gone, with its helpers, when the process that called it was killed', { timeout: 30_000 }, async () => {
  let onAsked = () => {};
  const asked = new Promise<void>((resolve) => {
    onAsked = resolve;
  });
  const server = createServer((socket) => {
    socket.on('error', () => {});
    onAsked();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}/hanging.git`;
  const child = spawn(process.execPath, [
    path.join(import.meta.dirname, '_hanging-git.js'),
    String((server.address() as AddressInfo).port),
  ]);
  await asked;
  assert.ok(processesWith(address).length > 0);
  child.kill('SIGKILL');
  for (let waited = 0; processesWith(address).length > 0 && waited < 5000; waited += 50) await sleep(50);
  assert.deepEqual(processesWith(address), []);
  server.close();
});
