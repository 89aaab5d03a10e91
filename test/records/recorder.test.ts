import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { readBuildRecord, readSummary } from '../../src/records/read-record.ts';
import { ALL_BYTES_MAX, STEP_BYTES_MAX } from '../../src/records/step-logs.ts';
import { FROM, PLAN, RUN, record, temporaryRoot } from './_recording.ts';

const DIGEST = `sha256:${'a'.repeat(64)}` as const;
const bytes = (text: string) => Buffer.from(text);

test('a record of openRecorder() reads as it happened', async () => {
  const root = temporaryRoot();
  const recorder = record(root);
  recorder.planned(PLAN);
  recorder.take({ kind: 'step-start', step: FROM });
  recorder.take({ kind: 'step-end', step: FROM, outcome: 'done', durationMs: 1 });
  recorder.take({ kind: 'step-start', step: RUN });
  recorder.take({ kind: 'step-miss', step: RUN, reasons: [{ kind: 'file', path: 'a', change: 'content' }] });
  recorder.take({ kind: 'step-output', step: RUN, stream: 'stdout', data: bytes('one\n') });
  recorder.take({ kind: 'step-output', step: RUN, stream: 'stderr', data: bytes('two\n') });
  recorder.take({ kind: 'transfer', action: 'pack', id: 'x', bytes: 5, total: 10, state: 'running' });
  recorder.take({ kind: 'transfer', action: 'pack', id: 'x', bytes: 10, total: 10, state: 'done' });
  recorder.take({ kind: 'warning', message: 'careful' });
  while (readSummary(root, recorder.id) === undefined) await setTimeout(20);
  assert.equal(readSummary(root, recorder.id)?.state, 'running');
  recorder.take({ kind: 'step-end', step: RUN, outcome: 'done', durationMs: 1 });
  recorder.assembled([{ platform: 'linux/amd64', layers: [{ digest: DIGEST, size: 7, mediaType: 'x', step: RUN.id }] }]);
  recorder.finish({ state: 'done', digest: DIGEST });
  const read = readBuildRecord(root, recorder.id);
  assert.equal(read?.state, 'done');
  assert.deepEqual(read?.steps, { total: 2, cached: 0, made: 1 });
  const [from, run] = read?.stages[0]?.steps ?? [];
  assert.equal(from?.outcome, 'done');
  assert.deepEqual(run?.reasons, [{ kind: 'file', path: 'a', change: 'content' }]);
  assert.deepEqual([run?.logBytes, run?.layers], [8, [{ digest: DIGEST, size: 7, mediaType: 'x' }]]);
  assert.ok((run?.startedMs ?? -1) >= 0 && (run?.endedMs ?? -1) >= (run?.startedMs ?? 0));
  assert.deepEqual(
    read?.transfers.map(({ name, bytes: size, state }) => [name, size, state]),
    [['x', 10, 'done']],
  );
  assert.deepEqual(read?.warnings, [{ message: 'careful' }]);
  assert.equal(readFileSync(path.join(root, 'builds', recorder.id, 'log-1'), 'utf8'), 'one\ntwo\n');
  const { stages: _, ...rest } = read ?? {};
  for (const [name, value] of Object.entries(readSummary(root, recorder.id) ?? {}))
    assert.deepEqual(value, rest[name as keyof typeof rest], name);
});

test('secrets that openRecorder() was told of are in no log, wherever the writes are cut', () => {
  const root = temporaryRoot();
  const recorder = record(root);
  recorder.planned(PLAN);
  recorder.hide(bytes('correct horse\n'));
  recorder.hide(bytes('-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nshort\n-----END KEY-----\n'));
  for (const char of 'say correct horse, MIIEvQIBADANBgkqhkiG9w0 and short, correct') {
    recorder.take({ kind: 'step-output', step: RUN, stream: 'stdout', data: bytes(char) });
    recorder.take({ kind: 'step-output', step: FROM, stream: 'stdout', data: Buffer.alloc(1000, '.') });
  }
  for (let i = 0; i < 400; i++)
    recorder.take({ kind: 'step-output', step: FROM, stream: 'stdout', data: bytes(`${'.'.repeat(999 - (i % 7))}correct horse`) });
  recorder.finish({ state: 'done' });
  const directory = path.join(root, 'builds', recorder.id);
  assert.equal(readFileSync(path.join(directory, 'log-1'), 'utf8'), 'say [secret], [secret] and short, correct');
  const flood = readFileSync(path.join(directory, 'log-0'), 'utf8');
  assert.equal(flood.split('[secret]').length, 401);
  assert.ok(!flood.includes('horse'));
});

test('logs of openRecorder() end at their bounds, and say so', () => {
  const root = temporaryRoot();
  const recorder = record(root);
  recorder.planned(PLAN);
  const chunk = Buffer.alloc(1 << 20, 'x');
  for (let i = 0; i < 6; i++) recorder.take({ kind: 'step-output', step: RUN, stream: 'stdout', data: chunk });
  recorder.finish({ state: 'done' });
  const log = readFileSync(path.join(root, 'builds', recorder.id, 'log-1'), 'latin1');
  assert.ok(log.length > STEP_BYTES_MAX && log.length < STEP_BYTES_MAX + 100);
  assert.match(log.slice(-60), /\[log clipped: a build record keeps no more\]\n$/);
  assert.ok(ALL_BYTES_MAX > STEP_BYTES_MAX);
});

test('a record that its disk takes no more is told once, and fails no build', () => {
  const root = temporaryRoot();
  const failures: unknown[] = [];
  const recorder = record(root, { onFailure: (error) => failures.push(error) });
  recorder.planned(PLAN);
  rmSync(path.join(root, 'builds'), { recursive: true });
  for (let i = 0; i < 9; i++) recorder.take({ kind: 'step-output', step: RUN, stream: 'stdout', data: Buffer.alloc(100_000) });
  recorder.take({ kind: 'warning', message: 'more' });
  recorder.finish({ state: 'done' });
  assert.equal(failures.length, 1);
});

test('a record whose last line power loss tore, or that another version wrote, is read as far as it goes', () => {
  const root = temporaryRoot();
  const recorder = record(root);
  recorder.planned(PLAN);
  recorder.take({ kind: 'step-start', step: FROM });
  recorder.finish({ state: 'done' });
  const file = path.join(root, 'builds', recorder.id, 'events');
  appendFileSync(file, '{"kind":"news","of":"a later version"}\nnot JSON\n[1]\n');
  assert.equal(readBuildRecord(root, recorder.id)?.state, 'done');
  truncateSync(file, statSync(file).size - 100);
  assert.equal(readBuildRecord(root, recorder.id)?.stages.length, 1);
  truncateSync(file, 0);
  assert.equal(readBuildRecord(root, recorder.id), undefined);
  assert.equal(readSummary(root, recorder.id), undefined);
});

test('a build whose process was killed is interrupted, with all that it had said', async () => {
  const root = temporaryRoot();
  const script = `const { record, PLAN, RUN } = await import(${JSON.stringify(new URL('./_recording.js', import.meta.url).href)});
    const recorder = record(${JSON.stringify(root)}); recorder.planned(PLAN); recorder.take({ kind: 'step-start', step: RUN });
    recorder.take({ kind: 'step-output', step: RUN, stream: 'stdout', data: Buffer.from('half a li') });
    setTimeout(() => process.stdout.write(recorder.id), 300); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const id = await new Promise<string>((resolve) => child.stdout.once('data', (data) => resolve(String(data))));
  assert.equal(readSummary(root, id)?.state, 'running');
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await ended;
  const read = readBuildRecord(root, id);
  assert.equal(read?.state, 'interrupted');
  assert.equal(read?.stages[0]?.steps[1]?.outcome, undefined);
  assert.ok((read?.stages[0]?.steps[1]?.startedMs ?? -1) >= 0);
  assert.equal(readFileSync(path.join(root, 'builds', id, 'log-1'), 'utf8'), 'half a li');
  assert.ok(!existsSync(path.join(root, 'builds', id, 'events')));
  assert.deepEqual(readdirSync(path.join(root, 'builds')), [id]);
});
