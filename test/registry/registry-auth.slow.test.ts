import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { startRegistry, type TestRegistry } from './_docker-registry.ts';
import { AMD64, basicAuth, blobOf, chunked, dockerConfig, makeImage, noise, openTestClient, pushImage, refOf } from './_images.ts';
import { ISSUER, SERVICE, startTokenServer, type TokenServer } from './_token-server.ts';

describe('openRegistryClient() with Basic authentication', () => {
  let registry: TestRegistry;
  before(async () => {
    registry = await startRegistry({ users: { ann: 'pass:with:colons' } });
  });
  after(() => registry.stop());

  test('uses the auths entry of exactly this registry', async () => {
    await using client = openTestClient({
      dockerConfigDir: dockerConfig({ auths: { [registry.host]: basicAuth('ann', 'pass:with:colons') } }),
    });
    const reference = refOf(registry.host, 'basic:1');
    await pushImage(client, reference, makeImage());
    assert.equal((await client.resolve(reference, AMD64)).manifest.layers.length, 1);
  });

  test('says which credentials were refused, and never their secret', async () => {
    const dockerConfigDir = dockerConfig({ auths: { [registry.host]: basicAuth('ann', 'SECRET') } });
    await using client = openTestClient({ dockerConfigDir });
    const refused = client.resolve(refOf(registry.host, 'basic:1'), AMD64);
    await assert.rejects(refused, (error: Error & { code: string; hint: string }) => {
      assert.equal(error.code, 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED');
      assert.match(error.hint, new RegExp(`Credentials used: ${dockerConfigDir}/config.json`));
      assert.doesNotMatch(JSON.stringify([error.message, error.hint, error.stack, error]), /SECRET/);
      return true;
    });
  });

  test('without credentials says that there are none', async () => {
    await using client = openTestClient();
    await assert.rejects(client.resolve(refOf(registry.host, 'basic:1'), AMD64), {
      hint: /none, since \/nonexistent\/config.json has none for 127/,
    });
  });

  test('credentials of another port of the same host are not used', async () => {
    await using client = openTestClient({
      dockerConfigDir: dockerConfig({ auths: { '127.0.0.1': basicAuth('ann', 'pass:with:colons'), '127.0.0.1:1': basicAuth('ann', 'x') } }),
    });
    await assert.rejects(client.resolve(refOf(registry.host, 'basic:1'), AMD64), { code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED' });
  });
});

describe('openRegistryClient() with token authentication', () => {
  const user = { name: 'bob', password: 'token-password', identityToken: 'identity-secret' };
  let tokens: TokenServer;
  let registry: TestRegistry;
  before(async () => {
    tokens = await startTokenServer(user);
    registry = await startRegistry({ token: { realm: tokens.realm, service: SERVICE, issuer: ISSUER, certificate: tokens.certificate } });
  });
  after(async () => {
    await registry.stop();
    await tokens[Symbol.asyncDispose]();
  });
  const withPassword = () =>
    openTestClient({ dockerConfigDir: dockerConfig({ auths: { [registry.host]: basicAuth(user.name, user.password) } }) });

  test('pushes with a password, and anybody pulls a public repository', async () => {
    await using client = withPassword();
    const reference = refOf(registry.host, 'public/image:1');
    await pushImage(client, reference, makeImage());
    await using anybody = openTestClient();
    assert.equal((await anybody.resolve(reference, AMD64)).manifest.layers.length, 1);
    await assert.rejects(anybody.pushManifest(reference, makeImage().bytes, MEDIA_TYPE.manifest), {
      code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED',
    });
  });

  test('pushes with an identity token by POST, and never with the token in a URL', async () => {
    tokens.requests.length = 0;
    await using client = openTestClient({
      dockerConfigDir: dockerConfig({ auths: { [registry.host]: { identitytoken: user.identityToken } } }),
    });
    await pushImage(client, refOf(registry.host, 'private/image:1'), makeImage());
    assert.ok(tokens.requests.length > 0);
    for (const { method, url } of tokens.requests) {
      assert.equal(method, 'POST');
      assert.doesNotMatch(url.href, /identity-secret/);
    }
  });

  test('asks for one token per set of scopes, though twenty requests start at once', async () => {
    await using client = withPassword();
    const reference = refOf(registry.host, 'private/single:1');
    await pushImage(client, reference, makeImage());
    tokens.requests.length = 0;
    await using fresh = withPassword();
    const [config] = makeImage().blobs;
    assert.ok(config !== undefined);
    await fresh.resolve(reference, AMD64);
    await Promise.all(Array.from({ length: 20 }, () => fresh.hasBlob(reference, config.descriptor)));
    assert.equal(tokens.requests.length, 1);
  });

  for (const lifetime of [0, 1, 5]) {
    test(`pushes and pulls with tokens that live ${lifetime} s`, async () => {
      tokens.lifetimeSeconds = lifetime;
      await using client = withPassword();
      const reference = refOf(registry.host, `private/short${lifetime}:1`);
      await pushImage(client, reference, makeImage());
      assert.equal((await client.resolve(reference, AMD64)).manifest.layers.length, 1);
      tokens.lifetimeSeconds = 300;
    });
  }

  test('mounts from a repository with a token for both', async () => {
    await using client = withPassword();
    const bytes = noise(40_000, 21);
    await client.pushBlob(refOf(registry.host, 'private/from:1'), blobOf(bytes), () => chunked(bytes), []);
    tokens.requests.length = 0;
    assert.equal(
      await client.pushBlob(refOf(registry.host, 'private/to:1'), blobOf(bytes), () => chunked(bytes), ['private/from']),
      'mounted',
    );
    const scopes = tokens.requests.at(-1)?.url.searchParams.getAll('scope');
    assert.deepEqual(scopes, ['repository:private/from:pull', 'repository:private/to:pull,push']);
  });

  test('a token server that gives powerless tokens is asked at most three times', async () => {
    tokens.requests.length = 0;
    tokens.powerless = true;
    await using client = withPassword();
    await assert.rejects(client.resolve(refOf(registry.host, 'private/image:1'), AMD64), {
      code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED',
      status: 401,
    });
    tokens.powerless = false;
    assert.ok(tokens.requests.length <= 3, `${tokens.requests.length} token requests`);
  });

  test("a wrong password is the token server's 401, without the secret", async () => {
    await using client = openTestClient({ dockerConfigDir: dockerConfig({ auths: { [registry.host]: basicAuth(user.name, 'SECRET') } }) });
    await assert.rejects(client.resolve(refOf(registry.host, 'private/image:1'), AMD64), (error: Error) => {
      assert.match(error.message, /the token server 127\.0\.0\.1:\d+ answered 401 UNAUTHORIZED: wrong password$/);
      assert.doesNotMatch(JSON.stringify([error.message, error.stack, error]), /SECRET|U0VDUkVU/);
      return true;
    });
  });

  test('a token server that fails for a while is asked again', async () => {
    await using client = withPassword();
    tokens.failures = [503, 500];
    await pushImage(client, refOf(registry.host, 'private/again:1'), makeImage());
    assert.deepEqual(tokens.failures, []);
  });
});
