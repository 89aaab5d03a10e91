import assert from 'node:assert/strict';
import { closeSync, readSync } from 'node:fs';
import { describe, it } from 'node:test';
import { makePipe } from '../../src/sys/pipe.ts';
import { pidfdSendSignal, waitPidfd } from '../../src/sys/process.ts';
import { encodeProgram, type Operation } from '../../src/sys/syscall-program.ts';
import { cloneProgram, engineAvailable } from '../../src/sys/syscall-program-engine.ts';

const write = (fd: Operation['arguments'][number], text: string): Operation => ({
  syscall: 'write',
  arguments: [fd, { text }, text.length],
  subject: text,
});

describe('encodeProgram', () => {
  it('puts numbers, pointers and result references where launch.c reads them', () => {
    const program: Operation[] = [
      { syscall: 'openat', arguments: [-100, { text: 'ü' }, 0], subject: '', as: 'file', ignore: [2] },
      { syscall: 'fchdir', arguments: [{ result: 'file' }], subject: '', expect: { result: 0 } },
      { syscall: 'dup3', arguments: [{ input: 'x' }, { texts: ['a', 'b'] }], subject: '', needs: 'file' },
    ];
    const { operations, data } = encodeProgram(program, { address: 0x10000n, architecture: 'arm64', inputs: new Map([['x', 77]]) });
    const word = (offset: number) => operations.readBigInt64LE(offset);
    const at = (address: bigint, length: number) => data.subarray(Number(address) - 0x10000 - operations.length).subarray(0, length);
    assert.deepEqual([word(0), word(8), operations.readInt32LE(72)], [56n, -100n, 2]);
    assert.deepEqual(at(word(16), 3), Buffer.from('ü\0'));
    assert.deepEqual([word(96), word(96 + 8), operations.readUInt32LE(96 + 56), operations.readUInt32LE(96 + 60)], [50n, 0n, 1, 1]);
    assert.deepEqual([word(192 + 8), operations.readUInt32LE(192 + 56)], [77n, 1 << 5]);
    const array = at(word(192 + 16), 24);
    assert.deepEqual(at(array.readBigInt64LE(8), 2), Buffer.from('b\0'));
    assert.equal(array.readBigInt64LE(16), 0n);
  });

  it('refuses what a program cannot mean', () => {
    const encode = (operation: Operation) => () => encodeProgram([operation], { address: 0n, architecture: 'x64', inputs: new Map() });
    assert.throws(encode({ syscall: 'close', arguments: [{ result: 'later' }], subject: '' }), /uses later before it exists/);
    assert.throws(encode({ syscall: 'close', arguments: [{ input: 'none' }], subject: '' }), /uses none/);
    assert.throws(encode({ syscall: 'chdir', arguments: [{ text: 'a\0b' }], subject: '' }), /NUL/);
  });
});

describe('cloneProgram', () => {
  for (const mode of ['share-memory', 'copy-memory'] as const) {
    it(`walks the program in a child (${mode}) and gives its pidfd`, async () => {
      const pipe = makePipe();
      const program: Operation[] = [
        { syscall: 'fcntl', arguments: [{ input: 'out' }, 0, 100], subject: '', as: 'copy' },
        { syscall: 'openat', arguments: [-100, { text: '/missing' }, 0], subject: '', as: 'missing', ignore: [2] },
        write({ result: 'missing' }, 'left out'),
        { ...write({ result: 'copy' }, 'needs'), needs: 'missing' },
        write({ result: 'copy' }, 'walked'),
      ];
      const pidfd = cloneProgram(program, { namespaces: 0, mode, inputs: new Map([['out', pipe.write]]), statusFd: pipe.write });
      assert.deepEqual(await waitPidfd(pidfd), { exitCode: 0 });
      assert.equal(drain(pipe).toString(), 'walked');
    });

    it(`tells which operation failed (${mode})`, async () => {
      const pipe = makePipe();
      const program: Operation[] = [
        { syscall: 'umask', arguments: [0], subject: '' },
        { syscall: 'umask', arguments: [0], subject: '', expect: { result: 1 } },
      ];
      const pidfd = cloneProgram(program, { namespaces: 0, mode, inputs: new Map(), statusFd: pipe.write });
      assert.deepEqual(await waitPidfd(pidfd), { exitCode: 127 });
      const bytes = drain(pipe);
      assert.deepEqual([bytes.readUInt32LE(0), bytes.readInt32LE(4), bytes.readInt32LE(8)], [1, 1, 71]);
    });
  }

  it('leaves the umask and the signal mask of the caller as they were', async () => {
    const before = process.umask();
    await waitPidfd(cloneProgram([{ syscall: 'umask', arguments: [0o77], subject: '' }], options()));
    assert.equal(process.umask(), before);
    const alive = setTimeout(() => undefined, 5000);
    const received = new Promise((resolve) => process.once('SIGUSR2', resolve));
    process.kill(process.pid, 'SIGUSR2');
    await received;
    clearTimeout(alive);
  });

  it('reports a killed child by its signal', async () => {
    const sleep: Operation = { syscall: 'ppoll', arguments: [0, 0, 0, 0, 8], subject: '' };
    const pidfd = cloneProgram([sleep], { ...options(), mode: 'copy-memory' });
    pidfdSendSignal(pidfd, 'SIGKILL');
    assert.deepEqual(await waitPidfd(pidfd), { signal: 'SIGKILL' });
  });

  it('runs here', () => assert.ok(engineAvailable()));
});

function options() {
  return { namespaces: 0, mode: 'share-memory', inputs: new Map(), statusFd: 2 } as const;
}

function drain(pipe: { read: number; write: number }): Buffer {
  const bytes = Buffer.alloc(100);
  closeSync(pipe.write);
  const size = readSync(pipe.read, bytes);
  closeSync(pipe.read);
  return bytes.subarray(0, size);
}
