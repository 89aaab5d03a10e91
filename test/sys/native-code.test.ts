import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { MACHINE_CODE } from '../../src/sys/native/machine-code.ts';
import { treeFacts } from '../../src/sys/tree-facts.ts';
import { fromText } from '../../src/tree/byte-string.ts';

describe('MACHINE_CODE', () => {
  let work: string;
  before(() => {
    work = mkdtempSync(join(tmpdir(), 'tsbuild-native-'));
    writeFileSync(join(work, 'launch.arm64'), Buffer.from(MACHINE_CODE.arm64.launch, 'base64'));
    for (const arch of ['x64', 'arm64'] as const) {
      writeFileSync(join(work, `init.${arch}`), Buffer.from(MACHINE_CODE[arch].init, 'base64'), { mode: 0o755 });
    }
    writeFileSync(join(work, 'sum.arm64'), Buffer.from(MACHINE_CODE.arm64.sum, 'base64'));
    for (const [harness, source] of Object.entries({ harness: '_launch-arm64.c', 'sum-harness': '_sum-arm64.c' }))
      execFileSync('aarch64-linux-gnu-gcc', ['-static', '-O1', '-o', join(work, harness), join('test/sys', source)]);
  });
  after(() => rmSync(work, { recursive: true, force: true }));

  it('is what the compilers make of its sources', () => {
    execFileSync('scripts/native-code.sh', ['--check'], { stdio: 'pipe' });
  });

  it('returns the errno of clone3 on arm64 where namespaces are asked for', () => {
    const { status, stdout } = harness('parent');
    assert.deepEqual([status, stdout], [0, '-38\n']); // qemu has no clone3: ENOSYS
  });

  it('makes a child by clone on arm64 where there is no clone3, which walks a program: results, left out and failed operations', () => {
    const { status, stdout, stderr } = harness('child');
    assert.deepEqual([status, stdout], [127, 'walked\n']);
    assert.deepEqual(words(Buffer.from(stderr, 'latin1')), [1, 5, 71]); // operation 5: EPROTO
  });

  it('sums up on arm64 what it sums up here', () => {
    const tree = join(work, 'tree');
    mkdirSync(join(tree, 'a/b/c'), { recursive: true });
    for (const name of ['f', 'a/longer than eight', 'a/b/g']) writeFileSync(join(tree, name), name);
    symlinkSync('nowhere', join(tree, 'a/b/c/link'));
    const { all, steady } = treeFacts(fromText(tree));
    const args = [join(work, 'sum-harness'), join(work, 'sum.arm64'), tree];
    assert.equal(execFileSync('qemu-aarch64-static', args, { encoding: 'latin1' }), `0 ${all} ${steady}\n`);
  });

  for (const [arch, command] of [
    ['x64', []],
    ['arm64', ['qemu-aarch64-static']],
  ] as const) {
    it(`runs a command as init on ${arch}, tries its candidates, and reports the end of it`, async () => {
      const run = (candidates: readonly string[], argv: readonly string[]) =>
        init([...command, join(work, `init.${arch}`)], [String(candidates.length), ...candidates, ...argv]);
      assert.deepEqual(await run(['/missing/sh', '/bin/sh'], ['sh', '-c', '(sleep 0.05 &) ; echo "$0 $1"; exit 7', 'a', 'b']), {
        stdout: 'a b\n',
        messages: [6, 0, 0, 3, 7, 0],
      });
      assert.deepEqual((await run(['/bin/sh'], ['sh', '-c', 'kill -9 $$'])).messages, [6, 0, 0, 4, 9, 0]);
      // qemu's vfork does not wait for the exec: "started" comes first there.
      const failure = ({ messages }: { messages: readonly number[] }) =>
        messages.slice(arch === 'arm64' && messages[0] === 6 ? 3 : 0).slice(0, 3);
      assert.deepEqual(failure(await run(['/missing'], ['missing'])), [2, 2, 0]);
      assert.deepEqual(failure(await run(['/etc/passwd', '/missing'], ['passwd'])), [2, 13, 0]);
    });
  }

  it('ends init when the other end of its socket closes', async () => {
    const child = spawn(join(work, 'init.x64'), ['1', '/bin/sleep', 'sleep', '30'], {
      argv0: 'init',
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    setTimeout(() => child.stdio[3]?.destroy(), 50);
    assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 137);
  });

  function harness(side: 'parent' | 'child') {
    return spawnSync('qemu-aarch64-static', [join(work, 'harness'), join(work, 'launch.arm64'), side], { encoding: 'latin1' });
  }
});

async function init(command: readonly string[], args: readonly string[]): Promise<{ stdout: string; messages: number[] }> {
  const [file = '', ...rest] = command;
  const child = spawn(file, [...rest, ...args], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
  let stdout = '';
  let status = Buffer.alloc(0);
  child.stdout?.on('data', (data) => {
    stdout += String(data);
  });
  child.stdio[3]?.on('data', (data: Buffer) => {
    status = Buffer.concat([status, data]);
  });
  await new Promise((resolve) => child.once('close', resolve));
  return { stdout, messages: words(status) };
}

function words(bytes: Buffer): number[] {
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, index) => bytes.readInt32LE(index * 4));
}
