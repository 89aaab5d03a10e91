/** Which files credentials come from, and that podman's are read as its family writes them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { credentialFiles } from '../../src/registry/credential-files.ts';
import { findCredential, rememberingCredentials } from '../../src/registry/credentials.ts';
import { startRegistry } from './_docker-registry.ts';
import { basicAuth } from './_images.ts';
import { temporaryDirectory } from './_temporary.ts';

const home = temporaryDirectory();
const write = (path: string, config: unknown): string => {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config));
  return path;
};
const auth = (registries: Record<string, string>) => ({
  auths: Object.fromEntries(Object.entries(registries).map(([registry, user]) => [registry, basicAuth(user, 'p')])),
});
const docker = write(join(home, 'docker/config.json'), auth({ 'one.example': 'docker' }));
const runtime = write(
  join(home, 'run/containers/auth.json'),
  auth({ 'one.example/team': 'runtime', 'two.example': 'runtime', 'docker.io': 'hub' }),
);
const config = write(join(home, 'config/containers/auth.json'), auth({ 'two.example': 'config', 'three.example/a/b': 'config' }));
const named = write(join(home, 'named.json'), auth({ 'one.example': 'named', 'four.example': 'named' }));

const XDG = { XDG_RUNTIME_DIR: join(home, 'run'), XDG_CONFIG_HOME: join(home, 'config') };
const find = async (env: Record<string, string>, registry: string, repository = 'team/app') => {
  const { credential, source } = await findCredential({ registry, repository }, credentialFiles(join(home, 'docker'), env));
  return credential === undefined ? source : `${credential.kind === 'password' ? credential.username : credential.kind} of ${source}`;
};

test('credentialFiles() are Docker’s, then podman’s of this session, then podman’s for good', async () => {
  assert.equal(await find(XDG, 'one.example'), `docker of ${docker}`);
  assert.equal(await find(XDG, 'two.example'), `runtime of ${runtime}`);
  assert.equal(await find(XDG, 'three.example', 'a/b/c'), `config of ${config}`);
  assert.equal(await find(XDG, 'docker.io'), `hub of ${runtime}`);
  assert.equal(await find(XDG, 'four.example'), `none, since ${docker} and ${runtime} and ${config} have none for four.example`);
  assert.equal(await find({ ...XDG, XDG_RUNTIME_DIR: '' }, 'two.example'), `config of ${config}`);
});

test('REGISTRY_AUTH_FILE stands for both of podman’s, and has to be there', async () => {
  const env = { ...XDG, REGISTRY_AUTH_FILE: named };
  assert.equal(await find(env, 'one.example'), `docker of ${docker}`);
  assert.equal(await find(env, 'four.example'), `named of ${named}`);
  assert.equal(await find(env, 'two.example'), `none, since ${docker} and ${named} have none for two.example`);
  await assert.rejects(find({ REGISTRY_AUTH_FILE: join(home, 'absent.json') }, 'two.example'), {
    code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED',
    message: `Cannot read credentials from ${join(home, 'absent.json')}: there is no such file, though REGISTRY_AUTH_FILE names it`,
  });
});

test('a broken file is an error and never "no credentials", without its words', async () => {
  const broken = write(join(home, 'broken.json'), '{"auths": SECRET');
  await assert.rejects(find({ REGISTRY_AUTH_FILE: broken }, 'two.example'), (error: Error) => {
    assert.match(error.message, /broken\.json: it is not JSON$/);
    assert.doesNotMatch(JSON.stringify([error, error.stack]), /SECRET/);
    return true;
  });
});

test('rememberingCredentials() reads each file once for all repositories', async () => {
  const path = write(join(home, 'once/config.json'), auth({ 'one.example': 'ann' }));
  const remembered = rememberingCredentials([{ path, kind: 'may-be-absent' }]);
  const first = await remembered({ registry: 'one.example', repository: 'a' });
  rmSync(path);
  assert.deepEqual(await remembered({ registry: 'one.example', repository: 'b' }), first);
  assert.notEqual(first.credential, undefined);
});

test('what skopeo login writes is found', async () => {
  await using registry = await startRegistry({ users: { ann: 'p' } });
  const file = join(home, 'skopeo.json');
  execFileSync('skopeo', ['login', '--authfile', file, '--tls-verify=false', '-u', 'ann', '-p', 'p', registry.host], { stdio: 'pipe' });
  assert.equal(await find({ REGISTRY_AUTH_FILE: file }, registry.host), `ann of ${file}`);
});
