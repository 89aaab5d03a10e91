import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { changeDockerConfig, readDockerConfig } from '../../src/registry/docker-config.ts';
import { replaceMember } from '../../src/registry/json-member.ts';
import { temporaryDirectory } from './_temporary.ts';

test('replaceMember() leaves numbers, order, spaces and unknown names as they are', () => {
  const text =
    '{\n  "z": 12345678901234567890.0,\n\t"auths" : {"a,}]": ["{"] , "b":{}},  "__proto__": 1e400, "2": "\\u00e9\\"", "1": [ ]\n}\n';
  const changed = replaceMember(text, 'auths', { c: 1 });
  assert.equal(changed, text.replace('{"a,}]": ["{"] , "b":{}}', '{\n\t\t"c": 1\n\t}'));
  assert.equal(replaceMember('{}', 'auths', {}), '{\n\t"auths": {}\n}');
  assert.equal(replaceMember('{"a":1 }', 'auths', {}), '{"a":1,\n\t"auths": {}\n}');
});

test('replaceMember() changes what JSON.parse sees, whatever the object', () => {
  const names = fc.oneof(fc.string(), fc.constantFrom('auths', '"', '\\', '{', 'a":'));
  fc.assert(
    fc.property(fc.dictionary(names, fc.jsonValue()), names, fc.jsonValue(), fc.nat(4), (object, name, value, indent) => {
      const text = JSON.stringify(object, undefined, indent);
      const found = JSON.parse(replaceMember(text, name, value)) as object;
      const expected = JSON.parse(text) as object;
      Object.defineProperty(expected, name, {
        value: JSON.parse(JSON.stringify(value)),
        enumerable: true,
        writable: true,
        configurable: true,
      });
      assert.deepEqual(new Map(Object.entries(found)), new Map(Object.entries(expected)));
    }),
  );
});

const setAuths = (name: string) => (config: ReadonlyMap<string, unknown>) =>
  new Map([['auths', { ...(config?.get('auths') as object | undefined), [name]: { auth: 'eDp5' } }]]);

test('changeDockerConfig() makes directory and file for their owner alone', async () => {
  const directory = join(temporaryDirectory(), 'a', 'docker');
  await changeDockerConfig(directory, setAuths('r'));
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.equal(statSync(join(directory, 'config.json')).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(directory), ['config.json']);
});

test('changeDockerConfig() narrows the mode of a file that everybody could read, and follows a link to where the file lies', async () => {
  const home = temporaryDirectory();
  mkdirSync(join(home, 'real'));
  mkdirSync(join(home, 'docker'));
  writeFileSync(join(home, 'real/config.json'), '{"x": 1.50}', { mode: 0o644 });
  symlinkSync('../real/config.json', join(home, 'docker/config.json'));
  await changeDockerConfig(join(home, 'docker'), setAuths('r'));
  assert.ok(lstatSync(join(home, 'docker/config.json')).isSymbolicLink());
  assert.equal(statSync(join(home, 'real/config.json')).mode & 0o777, 0o600);
  assert.match(readFileSync(join(home, 'real/config.json'), 'utf8'), /^\{"x": 1\.50,\n\t"auths"/);
});

test('changeDockerConfig() loses no change of ten at once, and takes away what a killed one left', async () => {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'config.json.tsbuild-new'), 'half');
  const names = Array.from({ length: 10 }, (_, index) => `r${index}`);
  await Promise.all(names.map((name) => changeDockerConfig(directory, setAuths(name))));
  const config = await readDockerConfig(join(directory, 'config.json'));
  assert.deepEqual(Object.keys(config?.get('auths') as object).toSorted(), names);
  assert.deepEqual(readdirSync(directory), ['config.json']);
});

test('changeDockerConfig() changes nothing of a file that is broken, and says so', async () => {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'config.json'), '{"auths": SECRET');
  await assert.rejects(changeDockerConfig(directory, setAuths('r')), { message: /config\.json: it is not JSON$/ });
  assert.equal(readFileSync(join(directory, 'config.json'), 'utf8'), '{"auths": SECRET');
});

test('changeDockerConfig() says where it cannot write', async () => {
  const file = join(temporaryDirectory(), 'file');
  writeFileSync(file, '');
  await assert.rejects(changeDockerConfig(join(file, 'docker'), setAuths('r')), { code: 'ERR_TSBUILD_LOGIN_FAILED', message: /ENOTDIR$/ });
  assert.equal(existsSync(join(file, 'docker')), false);
});
