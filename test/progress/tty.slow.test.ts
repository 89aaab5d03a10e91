import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const DRIVER = fileURLToPath(new URL('./_tty-driver.js', import.meta.url));

/** Everything that a scenario writes to a real terminal of 100 columns; `script` is its other end. */
function onTerminal(scenario: string, env: Record<string, string> = {}): string {
  const command = `stty cols 100 rows 40; '${process.execPath}' '${DRIVER}' ${scenario}`;
  const all = { ...process.env, TERM: 'xterm', ...env };
  return execFileSync('script', ['-qec', command, '/dev/null'], { env: all, encoding: 'utf8', timeout: 20_000 });
}

/** What stays on the screen: the part after the last time that lines were erased. */
function lastPicture(text: string): string {
  return text.slice(text.lastIndexOf('\x1b[2K')).replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '');
}

test('openTtyRenderer() draws a running step with its time and last lines, and leaves the end on the screen', () => {
  const text = onTerminal('done');
  const end = lastPicture(text);
  assert.match(end, /build 2\/2/);
  assert.match(end, /\[build 1\/2\] FROM debian:bookworm CACHED/);
  assert.match(end, /\[build 2\/2\] RUN make 1\.2s/);
  assert.match(end, /pull 1\/1 1\.00kB/);
  assert.match(end, /stored sha256:0+ as app:1 \(1\.00kB\)\r\nRESULT/);
  assert.match(text, /RUN make 0\.\ds/);
  assert.match(text, /line 29/);
  assert.doesNotMatch(text, /line 23/);
  assert.doesNotMatch(text, /\x1b\[2J/);
  assert.ok(text.includes('\x1b[?25h'), 'the cursor is shown again');
});

test('openTtyRenderer() ends a failed build with the output of the step and the error', () => {
  const end = lastPicture(onTerminal('failure'));
  assert.match(end, /RUN make FAILED 1\.0s/);
  assert.match(end, /\| line 10\r\n[\s\S]*\| line 29\r\n[\s\S]*>>> RUN make[\s\S]*ERR_TSBUILD_RUN_FAILED: RUN make exited with code 2/);
});

test('openTtyRenderer() marks a step that failed before it was ever drawn', () => {
  assert.match(lastPicture(onTerminal('quick-failure')), /RUN make FAILED 1\.0s/);
});

test('openTtyRenderer() writes a cached build as lines, without a drawing', () => {
  const text = onTerminal('cached');
  assert.doesNotMatch(text, /\x1b\[\?25l|\x1b\[2K/);
  assert.match(text, /CACHED/);
});

test('openTtyRenderer() draws a plan that comes after the first transfer', () => {
  const text = onTerminal('late-plan');
  assert.match(text, /pull 0\/1 500B \/ 1\.00kB/);
  assert.match(lastPicture(text), /\[build 2\/2\] RUN make 1\.2s/);
});

test('openTtyRenderer() uses no colours under NO_COLOR', () => {
  assert.doesNotMatch(onTerminal('cached', { NO_COLOR: '1' }), /\x1b\[[0-9;]*m/);
});
