import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { CredentialFile } from '../../src/registry/credential-files.ts';
import { askCredentialHelper } from '../../src/registry/credential-helper.ts';
import { findCredential, rememberingCredentials } from '../../src/registry/credentials.ts';
import { basicAuth, dockerConfig } from './_images.ts';
import { temporaryDirectory } from './_temporary.ts';

const helpers = temporaryDirectory();
const path = process.env.PATH;

before(() => {
  const scripts: Record<string, string> = {
    good: `read server; echo "$1 $server" > ${helpers}/asked; echo '{"ServerURL":"x","Username":"ann","Secret":"s3"}'`,
    token: 'echo \'{"Username":"<token>","Secret":"identity"}\'',
    none: 'echo "credentials not found in native keychain"; exit 1',
    fails: 'echo "SECRET in the keychain is locked" >&2; exit 3',
    hangs: 'exec sleep 60',
    floods: 'exec yes SECRET',
    html: 'echo "<html>SECRET"',
    empty: 'echo "{}"',
    noisy: 'yes noise | head -c 300000 >&2; echo \'{"Username":"ann","Secret":"s3"}\'',
  };
  for (const [name, script] of Object.entries(scripts)) {
    const file = join(helpers, `docker-credential-${name}`);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  }
  process.env.PATH = `${helpers}:${path}`;
});
after(() => {
  process.env.PATH = path;
});

const docker = (directory: string): CredentialFile => ({ path: join(directory, 'config.json'), kind: 'may-be-absent' });
const find = async (registry: string, config: unknown, repository?: string) =>
  (await findCredential({ registry, repository }, [docker(dockerConfig(config))])).credential;
const ANN = { kind: 'password', username: 'ann', password: 'p' } as const;

test('findCredential() is anonymous without a config.json', async () => {
  const found = await findCredential({ registry: 'r.example' }, [docker('/nonexistent')]);
  assert.deepEqual(found, { credential: undefined, source: 'none, since /nonexistent/config.json has none for r.example' });
});

for (const [registry, key] of [
  ['r.example', 'r.example'],
  ['r.example:5000', 'r.example:5000'],
  ['r.example', 'https://r.example'],
  ['r.example', 'https://r.example/'],
  ['r.example', 'https://r.example/v1/'],
  ['r.example', 'http://r.example/v2'],
  ['docker.io', 'https://index.docker.io/v1/'],
  ['docker.io', 'docker.io'],
  ['docker.io', 'https://registry-1.docker.io'],
] as const) {
  test(`findCredential() finds ${registry} under ${key}`, async () => {
    assert.deepEqual(await find(registry, { auths: { [key]: basicAuth('ann', 'p') } }), ANN);
  });
}

for (const [registry, key] of [
  ['r.example', 'evil.example/r.example'],
  ['r.example', 'r.example:5000'],
  ['r.example:5000', 'r.example'],
  ['r.example', 'r.example.evil.example'],
  ['r.example', 'x.r.example'],
  ['x.r.example', '*.r.example'],
  ['r.example', 'r.example/team'],
  ['r.example', 'https://u@r.example/'],
  ['__proto__', 'r.example'],
  ['evil.example', 'https://index.docker.io/v1/'],
] as const) {
  test(`H4 findCredential() does not give ${registry} what is under ${key}`, async () => {
    assert.equal(await find(registry, { auths: { [key]: basicAuth('ann', 'p') } }), undefined);
  });
}

test('findCredential() reads each form of an auths entry', async () => {
  const auths = {
    plain: { username: 'ann', password: 'p' },
    colons: basicAuth('ann', 'a:b:c'),
    identity: { ...basicAuth('ann', 'p'), identitytoken: 'i' },
    bearer: { registrytoken: 'b' },
    empty: {},
  };
  assert.deepEqual(await find('plain', { auths }), ANN);
  assert.deepEqual(await find('colons', { auths }), { ...ANN, password: 'a:b:c' });
  assert.deepEqual(await find('identity', { auths }), { kind: 'identity-token', token: 'i' });
  assert.deepEqual(await find('bearer', { auths }), { kind: 'bearer', token: 'b' });
  assert.equal(await find('empty', { auths }), undefined);
});

for (const [name, config] of [
  ['is not JSON', '{"auths": SECRET'],
  ['is not an object', '"SECRET"'],
  ['has an auth that is not user:password', { auths: { 'r.example': { auth: Buffer.from('SECRET').toString('base64') } } }],
] as const) {
  test(`findCredential() refuses a config.json that ${name}, without quoting it`, async () => {
    await assert.rejects(find('r.example', config), (error: Error & { code: string }) => {
      assert.equal(error.code, 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED');
      assert.doesNotMatch(JSON.stringify([error.message, error.stack, error, String(error.cause)]), /SECRET|U0VDUkVU/);
      return true;
    });
  });
}

test('findCredential() asks credHelpers before credsStore before auths', async () => {
  const auths = { 'r.example': basicAuth('file', 'p') };
  const username = async (config: unknown): Promise<unknown> => {
    const credential = await find('r.example', config);
    return credential?.kind === 'password' ? credential.username : credential?.kind;
  };
  assert.equal(await username({ auths, credsStore: 'good' }), 'ann');
  assert.equal(await username({ auths, credsStore: 'good', credHelpers: { 'r.example': 'token' } }), 'identity-token');
  assert.equal(await username({ auths, credsStore: 'none' }), 'file');
  assert.equal(await username({ auths, credHelpers: { 'other.example': 'good' } }), 'file');
});

for (const [repository, username] of [
  ['team/app', 'app'],
  ['team/other', 'team'],
  ['team', 'team'],
  ['teams/app', 'host'],
  ['other/team', 'host'],
  [undefined, 'host'],
] as const) {
  test(`findCredential() gives ${repository ?? 'the registry'} the credentials of the nearest namespace`, async () => {
    const auths = {
      'r.example': basicAuth('host', 'p'),
      'https://r.example/team': basicAuth('team', 'p'),
      'r.example/team/app': basicAuth('app', 'p'),
      'evil.example/team/other': basicAuth('evil', 'p'),
    };
    assert.deepEqual(await find('r.example', { auths }, repository), { ...ANN, username });
  });
}

test('findCredential() takes a namespace before a helper, and no helper where its name is empty', async () => {
  const auths = { 'docker.io/library': basicAuth('library', 'p'), 'https://index.docker.io/v1/': basicAuth('hub', 'p') };
  assert.deepEqual(await find('docker.io', { auths, credsStore: 'good' }, 'library/debian'), { ...ANN, username: 'library' });
  assert.deepEqual(await find('docker.io', { auths, credsStore: 'good' }, 'other/x'), { ...ANN, password: 's3' });
  const credHelpers = { 'docker.io': '' };
  assert.deepEqual(await find('docker.io', { auths, credsStore: 'good', credHelpers }, 'other/x'), { ...ANN, username: 'hub' });
});

test('rememberingCredentials() asks a helper once for all repositories of a registry', async () => {
  const counter = join(helpers, 'count');
  writeFileSync(join(helpers, 'docker-credential-counts'), `#!/bin/sh\necho x >> ${counter}\necho '{"Username":"ann","Secret":"p"}'\n`, {
    mode: 0o755,
  });
  const find = rememberingCredentials([docker(dockerConfig({ credsStore: 'counts' }))]);
  await Promise.all(['a', 'b', 'c/d'].map((repository) => find({ registry: 'r.example', repository })));
  assert.equal(readFileSync(counter, 'utf8'), 'x\n');
});

test('askCredentialHelper() says get and the server, and knows <token> as an identity token', async () => {
  assert.deepEqual(await askCredentialHelper('good', 'https://index.docker.io/v1/'), { ...ANN, password: 's3' });
  assert.equal(existsSync(join(helpers, 'asked')), true);
  assert.deepEqual(await askCredentialHelper('token', 'r'), { kind: 'identity-token', token: 'identity' });
  assert.equal(await askCredentialHelper('none', 'r'), undefined);
  assert.deepEqual(await askCredentialHelper('noisy', 'r'), { ...ANN, password: 's3' });
});

for (const [name, reason] of [
  ['fails', 'it exited with code 3'],
  ['hangs', 'no answer within 0.3 s'],
  ['floods', 'its answer is too long'],
  ['html', 'its answer is not JSON'],
  ['empty', 'its answer has no Username and Secret'],
  ['absent', 'it is not in PATH'],
  ['../../tmp/x', 'its name is not made of a-z, 0-9, _ and -'],
  ['a b', 'its name is not made of a-z, 0-9, _ and -'],
  ['x;id', 'its name is not made of a-z, 0-9, _ and -'],
  ['', 'its name is not made of a-z, 0-9, _ and -'],
] as const) {
  test(`H5 askCredentialHelper() refuses ${JSON.stringify(name)}: ${reason}`, async () => {
    await assert.rejects(askCredentialHelper(name, 'r', name === 'hangs' ? 300 : 10_000), {
      code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED',
      message: `Cannot ask the credential helper docker-credential-${name}: ${reason}`,
    });
  });
}
