import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { needRunnable, runnableArchitectures } from '../../src/sandbox/runnable-architectures.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };
let binfmt: string;

/** As the kernel shows a handler for ELF files. */
function handler(name: string, { flags, machine, state = 'enabled' }: { flags: string; machine: string; state?: string }): void {
  const magic = `7f454c460201010000000000000000000200${machine}`;
  writeFileSync(path.join(binfmt, name), `${state}\ninterpreter /usr/bin/qemu\nflags: ${flags}\noffset 0\nmagic ${magic}\nmask ff\n`);
}

before(() => {
  binfmt = mkdtempSync(path.join(tmpdir(), 'tsbuild-binfmt-'));
  handler('qemu-aarch64', { flags: 'OCF', machine: 'b700' });
  handler('qemu-riscv64', { flags: 'OC', machine: 'f300' });
  handler('qemu-ppc64le', { flags: 'F', machine: '1500', state: 'disabled' });
  writeFileSync(path.join(binfmt, 'python3.11'), 'enabled\ninterpreter /usr/bin/python3.11\nflags: \noffset 0\nmagic a70d0d0a\n');
  for (const name of ['register', 'status']) writeFileSync(path.join(binfmt, name), 'enabled\n');
});
after(() => rmSync(binfmt, { recursive: true }));

function failure(platform: { os: string; architecture: string }): string {
  try {
    needRunnable(platform, AMD64, binfmt);
  } catch (error) {
    assert.ok(error instanceof TsbuildError);
    return `${error.code} ${error.message}`;
  }
  return '';
}

test('runnableArchitectures has this machine, what its processor runs besides, and emulators that a container reaches', () => {
  assert.deepEqual(runnableArchitectures(AMD64, binfmt), ['amd64', '386', 'arm64']);
  assert.deepEqual(runnableArchitectures(AMD64, path.join(binfmt, 'absent')), ['amd64', '386']);
});

test('needRunnable says what is wrong with an emulator, and takes no other system', () => {
  assert.equal(failure({ os: 'linux', architecture: 'arm64' }), '');
  assert.match(failure({ os: 'linux', architecture: 'riscv64' }), /EMULATOR_MISSING .*qemu-riscv64 is registered without the flag F/);
  assert.match(failure({ os: 'linux', architecture: 'ppc64le' }), /EMULATOR_MISSING .*qemu-ppc64le is disabled/);
  assert.match(failure({ os: 'linux', architecture: 's390x' }), /EMULATOR_MISSING .*knows no emulator/);
  assert.match(failure({ os: 'windows', architecture: 'amd64' }), /PLATFORM_NOT_FOUND .*another system/);
});
