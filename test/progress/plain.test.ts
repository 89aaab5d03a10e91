import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRenderer } from '../../src/progress/renderer.ts';
import { cached, done, FAILURE, FROM, failed, output, PLAN, RUN, recordingScreen, start, step } from './_events.ts';

test('openPlainRenderer() numbers steps and shows output, cache hits and times', async () => {
  const { screen, text } = recordingScreen();
  const renderer = openRenderer('auto', screen);
  for (const event of [PLAN, start(FROM), cached(FROM), start(RUN), output(RUN, 'one\ntwo'), done(RUN)]) renderer.event(event);
  await renderer.end();
  assert.equal(
    text().replace(/\d\.\d{3}/g, 'T'),
    '#1 [build 1/2] FROM debian:bookworm\n#1 CACHED\n#2 [build 2/2] RUN make\n#2 T one\n#2 T two\n#2 DONE 1.2s\n',
  );
});

test('openPlainRenderer() ends with the error, its place and its hint', async () => {
  const { screen, text } = recordingScreen();
  const renderer = openRenderer('plain', screen);
  for (const event of [start(RUN), output(RUN, 'make: *** no rule\n'), failed(RUN)]) renderer.event(event);
  await renderer.end(FAILURE);
  assert.match(text(), /#1 ERROR 1\.0s RUN make exited with code 2\n/);
  assert.match(
    text(),
    /Dockerfile:2\n-+\n.*\n +2 \| >>> RUN make\n-+\nERR_TSBUILD_RUN_FAILED: RUN make exited with code 2\n {2}hint: Read the output of the step\.\n$/,
  );
  assert.equal(text().match(/no rule/g)?.length, 1);
});

test('openPlainRenderer() reports transfers when they end and not at every event', async () => {
  const { screen, text } = recordingScreen();
  const renderer = openRenderer('plain', screen);
  const transfer = { kind: 'transfer', action: 'pull', id: 'sha256:abc', total: 2000 } as const;
  for (const bytes of [0, 500, 1000]) renderer.event({ ...transfer, bytes, state: 'running' });
  renderer.event({ ...transfer, bytes: 2000, state: 'done' });
  renderer.event({ ...transfer, action: 'push', bytes: 0, state: 'mounted' });
  await renderer.end();
  assert.equal(text(), '#1 pull sha256:abc 2.00kB DONE 0.0s\n#2 push sha256:abc MOUNTED\n');
});

test('openPlainRenderer() lets no escape sequence of a Dockerfile or a program through', async () => {
  const { screen, text } = recordingScreen();
  const renderer = openRenderer('plain', screen);
  const evil = step(2, 'RUN echo \x1b]0;owned\x07x');
  for (const event of [start(evil), output(evil, '\x1b[2Jcleared\n'), done(evil)]) renderer.event(event);
  renderer.event({ kind: 'warning', message: 'bad \x1b[31mname', hint: 'see \x07docs' });
  await renderer.end();
  assert.doesNotMatch(text(), /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  assert.match(text(), /WARNING: bad name \(see docs\)/);
});

test('openQuietRenderer() is silent, but shows the failed step with the error', async () => {
  const { screen, text } = recordingScreen();
  const renderer = openRenderer('quiet', screen);
  const lines = Array.from({ length: 30 }, (_, index) => `line ${index}\n`).join('');
  for (const event of [PLAN, start(RUN), output(RUN, lines), failed(RUN)]) renderer.event(event);
  assert.equal(text(), '');
  await renderer.end(FAILURE);
  assert.equal(text().match(/^\| line /gm)?.length, 20);
  assert.match(text(), /\| line 29\n/);
  assert.match(text(), /ERR_TSBUILD_RUN_FAILED/);
});

test('openJsonRenderer() writes one event a line, with output as text and errors as code and message', async () => {
  const { screen, text } = recordingScreen();
  const renderer = openRenderer('json', screen);
  for (const event of [PLAN, start(RUN), output(RUN, 'one\ntw'), output(RUN, 'o'), failed(RUN)]) renderer.event(event);
  await renderer.end(FAILURE);
  const events = text()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['plan', 'step-start', 'step-output', 'step-output', 'step-end', 'error'],
  );
  assert.deepEqual([events[2]?.data, events[3]?.data], ['one\n', 'two']);
  assert.deepEqual(events[4]?.error, { code: 'ERR_TSBUILD_RUN_FAILED', message: 'RUN make exited with code 2' });
  assert.equal(events[5]?.hint, 'Read the output of the step.');
});

test('openRenderer() falls back to plain on a terminal without width', async () => {
  const { screen, text } = recordingScreen();
  const renderer = openRenderer('tty', { ...screen, isTerminal: true, columns: 0 });
  renderer.event(start(RUN));
  await renderer.end();
  assert.equal(text(), '#1 [build 2/2] RUN make\n');
});
