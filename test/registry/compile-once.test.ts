import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('the parser of answers is not compiled a second time, however many pieces come', () => {
  const program = fileURLToPath(new URL('_receive-many-pieces.js', import.meta.url));
  const output = execFileSync(process.execPath, ['--trace-wasm-compilation-times', program], { encoding: 'utf8' });
  assert.match(output, /^whole$/m);
  assert.doesNotMatch(output, /TurboFan/);
});
