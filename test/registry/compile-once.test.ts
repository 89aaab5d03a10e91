import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const [v8 = 0] = process.versions.v8.split('.').map(Number);
const skip = v8 >= 13 && `V8 ${v8}, of Node 24, does it whatever the flags`;

test('the parser of answers is not compiled a second time, however many pieces come', { skip }, () => {
  const program = fileURLToPath(new URL('_receive-many-pieces.js', import.meta.url));
  const output = execFileSync(process.execPath, ['--trace-wasm-compilation-times', program], { encoding: 'utf8' });
  assert.match(output, /^whole$/m);
  assert.doesNotMatch(output, /TurboFan/);
});

test('code that V8 keeps after the parser was compiled is good for the next process', () => {
  const source = "(() => 'some code')()";
  const made = `
    const { Script } = await import('node:vm');
    const { compilingOnce } = await import(${JSON.stringify(new URL('../../src/registry/compile-once.js', import.meta.url).href)});
    const script = new Script(${JSON.stringify(source)});
    script.runInThisContext();
    compilingOnce((_, callback) => callback(null, {}))({}, () => {});
    console.log(script.createCachedData().toString('base64'));`;
  const run = (program: string): string =>
    execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }).trim();
  const code = JSON.stringify(run(made));
  const taken = `
    const { Script } = await import('node:vm');
    console.log(new Script(${JSON.stringify(source)}, { cachedData: Buffer.from(${code}, 'base64') }).cachedDataRejected);`;
  assert.equal(run(taken), 'false');
});
