import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openOutputLines } from '../../src/progress/output-lines.ts';
import { output, RUN } from './_events.ts';

function linesOf(chunks: readonly Uint8Array[]): string[] {
  const lines = openOutputLines();
  const complete = chunks.flatMap((chunk) => {
    const event = output(RUN, chunk);
    return event.kind === 'step-output' ? lines.take(event) : [];
  });
  return [...complete, ...lines.rest(RUN)];
}

test('openOutputLines() gives the same lines however the bytes are cut', () => {
  const text = fc.array(fc.constantFrom('a', 'é', '😀', '\n', '\r\n', 'long word '), { maxLength: 20 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.array(fc.nat(60), { maxLength: 6 }), (whole, cuts) => {
      const bytes = Buffer.from(whole);
      const ends = [...new Set([...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort((a, b) => a - b);
      const chunks = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
      assert.deepEqual(linesOf(chunks), linesOf([bytes]));
    }),
  );
});

test('openOutputLines() shows what carriage returns leave on a terminal', () => {
  assert.deepEqual(linesOf([Buffer.from('10%\r50%\r100%\nend\r\n')]), ['100%', 'end']);
});

test('openOutputLines() cuts a line without an end instead of keeping it', () => {
  const lines = linesOf(Array.from({ length: 100 }, () => Buffer.alloc(1000, 'x')));
  assert.equal(lines.join('').length, 100_000);
  assert.ok(lines.every((line) => line.length <= 16_384));
});

test('openOutputLines() keeps standard output and standard error apart', () => {
  const lines = openOutputLines();
  lines.take({ kind: 'step-output', step: RUN, stream: 'stdout', data: Buffer.from('out') });
  lines.take({ kind: 'step-output', step: RUN, stream: 'stderr', data: Buffer.from('err') });
  assert.deepEqual(lines.take({ kind: 'step-output', step: RUN, stream: 'stdout', data: Buffer.from('put\n') }), ['output']);
  assert.deepEqual(lines.rest(RUN), ['err']);
});
