import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseReference } from '../../src/oci/reference.ts';
import { homeOf, mirrorsOf } from '../../src/registry/places.ts';
import { readRegistries } from '../../src/registry/read-registries.ts';
import { parsePlace, parseRegistries } from '../../src/registry/registries.ts';
import { repositoryName } from '../../src/registry/repository.ts';
import { temporaryDirectory } from './_temporary.ts';

const FILE = '/etc/tsbuild/registries.json';
const parse = (entries: unknown) => parseRegistries(Buffer.from(JSON.stringify({ registries: entries })), FILE);

for (const [text, place] of [
  ['docker.io', { registry: 'docker.io', path: '' }],
  ['docker.io/library', { registry: 'docker.io', path: 'library' }],
  ['docker.io/library/debian', { registry: 'docker.io', path: 'library/debian' }],
  ['localhost', { registry: 'localhost', path: '' }],
  ['[::1]:5000/a', { registry: '[::1]:5000', path: 'a' }],
  ['r.example:5000/team/apps', { registry: 'r.example:5000', path: 'team/apps' }],
  ['mirror', undefined],
  ['library/debian', undefined],
  ['index.docker.io', undefined],
  ['https://r.example', undefined],
  ['r.example/', undefined],
  ['r.example/Team', undefined],
  ['r.example/a:1', undefined],
  ['*.example', undefined],
  ['', undefined],
] as const) {
  test(`parsePlace() takes ${JSON.stringify(text)} for ${JSON.stringify(place)}`, () => {
    assert.deepEqual(parsePlace(text), place);
  });
}

for (const [what, text, message] of [
  ['no JSON', '{', /^Cannot read .*registries\.json/],
  ['a repeated key', '{"registries": {}, "registries": {}}', /^Cannot read .*registries\.json/],
  ['no object', '[]', /: the document is not an object$/],
  ['no registries', '{}', /: registries is missing$/],
  ['another key', '{"registries": {}, "mirror": 1}', /: the document has the unknown key "mirror"$/],
  [
    'a key that is nearly right',
    '{"registries": {"r.example": {"mirror": []}}}',
    /: registries\["r\.example"\] has the unknown key "mirror" \(did you mean mirrors\?\)$/,
  ],
  ['a name that is no host', '{"registries": {"hub": {}}}', /: registries\["hub"\] is not host/],
  ['a mirror that is an address', '{"registries": {"r.example": {"mirrors": ["https://m.example"]}}}', /\.mirrors\[0\] is not host/],
  ['mirrors that are no list', '{"registries": {"r.example": {"mirrors": "m.example"}}}', /\.mirrors is not a list$/],
  [
    'a mirror that loses a path',
    '{"registries": {"r.example/team": {"mirrors": ["m.example"]}}}',
    /\.mirrors\[0\] has no path, and "team" would be left out$/,
  ],
  ['a flag that is text', '{"registries": {"r.example": {"blocked": "true"}}}', /\.blocked is not true or false$/],
  [
    'blocked with mirrors',
    '{"registries": {"r.example": {"blocked": true, "mirrors": []}}}',
    /is blocked, so its mirrors would never be asked$/,
  ],
  ['half a pair', '{"registries": {"r.example": {"cert": "a"}}}', /has cert without key$/],
  ['the other half', '{"registries": {"r.example": {"key": "a"}}}', /has key without cert$/],
  ['a connection of a path', '{"registries": {"r.example/a": {"insecure": true}}}', /has insecure, which is for a whole host$/],
] as const) {
  test(`parseRegistries() refuses ${what}`, () => {
    assert.throws(() => parseRegistries(Buffer.from(text), FILE), { code: 'ERR_TSBUILD_CONFIGURATION_INVALID', message });
  });
}

test('parseRegistries() takes paths from the directory of the file', () => {
  const settings = parse({ 'r.example': { ca: 'ca.pem', cert: '/abs/cert.pem', key: '../key.pem' } }).entries.get('r.example');
  assert.deepEqual([settings?.ca, settings?.cert, settings?.key], ['/etc/tsbuild/ca.pem', '/abs/cert.pem', '/etc/key.pem']);
});

const MIRRORED = parse({
  'docker.io': { mirrors: ['m.example:5000', 'n.example/hub'] },
  'docker.io/library': { mirrors: ['m.example/official'] },
  'docker.io/library/debian': {},
  'old.example': { location: 'new.example/archive' },
  'hub.example': { location: 'docker.io' },
  'bad.example/team': { blocked: true },
  'way.example': { location: 'bad.example/team' },
});
const mirrors = (name: string): string[] => mirrorsOf(MIRRORED, parseReference(name)).map(repositoryName);
const home = (name: string): string => repositoryName(homeOf(MIRRORED, parseReference(name)));

test('mirrorsOf() and homeOf() follow the entry with the longest name alone', () => {
  assert.deepEqual(mirrors('team/app'), ['m.example:5000/team/app', 'n.example/hub/team/app']);
  assert.deepEqual(mirrors('alpine'), ['m.example/official/alpine']);
  assert.deepEqual(mirrors('debian'), []);
  assert.deepEqual(mirrors('r.example/x'), []);
  assert.equal(home('old.example/a/b'), 'new.example/archive/a/b');
  assert.equal(home('hub.example/debian'), 'docker.io/library/debian');
  assert.equal(home('bad.example/teams/x'), 'bad.example/teams/x');
  assert.equal(home('bad.example'), 'docker.io/library/bad.example');
});

test('mirrorsOf() keeps tag and digest', () => {
  const [mirror] = mirrorsOf(MIRRORED, parseReference(`alpine:1@sha256:${'a'.repeat(64)}`));
  assert.deepEqual([mirror?.tag, mirror?.digest], ['1', `sha256:${'a'.repeat(64)}`]);
});

for (const name of ['bad.example/team/x', 'bad.example/team', 'way.example/x']) {
  test(`homeOf() refuses ${name}, naming the file`, () => {
    const message = /^Cannot use bad\.example\/team.*: \/etc\/tsbuild\/registries\.json blocks bad\.example\/team$/;
    assert.throws(() => home(name), { code: 'ERR_TSBUILD_REGISTRY_BLOCKED', message });
  });
}

test('readRegistries() reads the first file of three, and each alone', () => {
  const config = temporaryDirectory();
  const named = join(temporaryDirectory(), 'mine.json');
  assert.deepEqual(readRegistries({ XDG_CONFIG_HOME: config }).entries, readRegistries({ XDG_CONFIG_HOME: `${config}/none` }).entries);
  mkdirSync(join(config, 'tsbuild'));
  writeFileSync(join(config, 'tsbuild/registries.json'), '{"registries": {"user.example": {}}}');
  assert.deepEqual([...readRegistries({ XDG_CONFIG_HOME: config }).entries.keys()], ['user.example']);
  assert.throws(() => readRegistries({ XDG_CONFIG_HOME: config, TSBUILD_REGISTRIES: named }), {
    code: 'ERR_TSBUILD_CONFIGURATION_INVALID',
    message: `Cannot read ${named}: TSBUILD_REGISTRIES names it, and it is not there`,
  });
  writeFileSync(named, '{"registries": {"mine.example": {}}}');
  assert.deepEqual([...readRegistries({ XDG_CONFIG_HOME: config, TSBUILD_REGISTRIES: named }).entries.keys()], ['mine.example']);
  writeFileSync(named, ' '.repeat(2 << 20));
  assert.throws(() => readRegistries({ TSBUILD_REGISTRIES: named }), { message: /: it is larger than 1 MiB$/ });
  assert.throws(() => readRegistries({ TSBUILD_REGISTRIES: '/dev/zero' }), { message: /: it is no file$/ });
});
