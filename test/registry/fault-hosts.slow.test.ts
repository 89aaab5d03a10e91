import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { app, BLOB, BYTES, endless, evil, fresh, MIB, proxy, pull, pushFresh } from './_faulty-registry.ts';
import { AMD64, basicAuth, chunked, dockerConfig, openTestClient } from './_images.ts';
import type { Fault } from './fault-proxy.ts';

describe('redirects and other hosts', () => {
  const secretConfig = () => dockerConfig({ auths: { [proxy.host]: basicAuth('ann', 'SECRET') } });
  /** The proxy wants Basic from each request without it. */
  const challenge: Fault = { kind: 'answer', status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } };
  const noSecretsAtEvil = (): void => {
    for (const { headers, path } of evil.requests) {
      assert.equal(headers.authorization, undefined);
      assert.equal(headers.cookie, undefined);
      assert.doesNotMatch(path, /SECRET/);
    }
  };

  for (const status of [301, 302, 303, 307, 308]) {
    for (const [name, path] of [
      ['blob', /blobs/],
      ['manifest', /manifests/],
    ] as const) {
      test(`H1 a ${status} of a ${name} to another host is followed without credentials`, async () => {
        await using client = openTestClient({ dockerConfigDir: secretConfig() });
        proxy.break({ fault: challenge });
        const target = name === 'blob' ? `blobs/${BLOB.digest}` : 'manifests/1';
        proxy.break({ path, fault: { kind: 'answer', status, headers: { location: `http://${evil.host}/v2/app/${target}` } } });
        if (name === 'blob') assert.deepEqual(await pull(client), BYTES);
        else await client.resolve(app(), AMD64);
        assert.ok(proxy.requests.some(({ headers }) => headers.authorization !== undefined));
        assert.equal(evil.requests.length, 1);
        noSecretsAtEvil();
      });
      test(`a ${status} of a ${name} to another host that wants credentials ends in an error`, async () => {
        await using client = openTestClient({ dockerConfigDir: secretConfig() });
        proxy.break({ fault: challenge });
        proxy.break({ path, times: 9, fault: { kind: 'answer', status, headers: { location: `http://${evil.host}/steal` } } });
        const headers = { 'www-authenticate': [`Basic realm="r"`, `Bearer realm="http://${evil.host}/token"`] };
        evil.break({ times: 9, fault: { kind: 'answer', status: 401, headers } });
        await assert.rejects(name === 'blob' ? pull(client) : client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED' });
        noSecretsAtEvil();
      });
    }
    test(`a ${status} of a push to another host is refused`, async () => {
      await using client = openTestClient();
      proxy.break({ method: 'POST', fault: { kind: 'answer', status, headers: { location: `http://${evil.host}/x` } } });
      await assert.rejects(
        client.pushBlob(fresh(), BLOB, () => chunked(BYTES), []),
        { code: 'ERR_TSBUILD_REGISTRY_ERROR' },
      );
      assert.equal(evil.requests.length, 0);
    });
  }

  test('credentials stay away from a redirect that leads back', async () => {
    await using client = openTestClient({ dockerConfigDir: secretConfig() });
    proxy.break({ fault: challenge });
    proxy.break({ path: /blobs/, fault: { kind: 'answer', status: 307, headers: { location: `http://${evil.host}/hop` } } });
    const back = { location: `http://${proxy.host}/v2/app/blobs/${BLOB.digest}?back` };
    evil.break({ fault: { kind: 'answer', status: 307, headers: back } });
    await pull(client);
    assert.equal(proxy.requests.find(({ path }) => path.endsWith('?back'))?.headers.authorization, undefined);
  });

  for (const [what, blobAt] of [
    ['before its first byte', { kind: 'answer', status: 403, body: '<Error>Request has expired</Error>' }],
    ['in the midst of the blob', { kind: 'cut-response', bytes: 300_000 }],
  ] as const) {
    test(`a signed address that ends ${what} is asked for anew`, async () => {
      await using client = openTestClient();
      for (const signature of ['old', 'new']) {
        const location = `http://${evil.host}/v2/app/blobs/${BLOB.digest}?signature=${signature}`;
        proxy.break({ path: /blobs/, fault: { kind: 'answer', status: 307, headers: { location } } });
      }
      evil.break({ path: /signature=old/, times: 9, fault: blobAt });
      assert.deepEqual(await pull(client), BYTES);
      assert.deepEqual(
        evil.requests.map(({ path }) => path.slice(-3)),
        ['old', 'new'],
      );
    });
  }

  for (const words of ['The plain HTTP request was sent to HTTPS port', "You're speaking plain HTTP to an SSL-enabled server port."]) {
    test(`a server that says ${JSON.stringify(words)} is asked by TLS`, async () => {
      await using client = openTestClient({ retry: { attempts: 1 } });
      proxy.break({ times: 9, fault: { kind: 'answer', status: 400, body: `<html>${words}</html>` } });
      // The proxy does not speak it, in truth.
      await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE' });
    });
  }

  test('an address that is refused always is asked for twice', async () => {
    await using client = openTestClient();
    const location = `http://${evil.host}/blob`;
    proxy.break({ path: /blobs/, times: 9, fault: { kind: 'answer', status: 307, headers: { location } } });
    evil.break({ times: 9, fault: { kind: 'answer', status: 403 } });
    await assert.rejects(pull(client), { code: 'ERR_TSBUILD_REGISTRY_DENIED' });
    assert.equal(evil.requests.length, 2);
  });

  test('a relative redirect keeps credentials', async () => {
    await using client = openTestClient({ dockerConfigDir: secretConfig() });
    proxy.break({ fault: challenge });
    proxy.break({ path: /blobs/, fault: { kind: 'answer', status: 307, headers: { location: `/v2/app/blobs/${BLOB.digest}?here` } } });
    await pull(client);
    assert.notEqual(proxy.requests.find(({ path }) => path.endsWith('?here'))?.headers.authorization, undefined);
  });

  test('a redirect loop ends after ten hops', async () => {
    await using client = openTestClient();
    proxy.break({
      path: /blobs/,
      times: 99,
      fault: { kind: 'answer', status: 302, headers: { location: `/v2/app/blobs/${BLOB.digest}` } },
    });
    await assert.rejects(pull(client), { message: /: more than 10 redirects$/ });
    assert.equal(proxy.requests.length, 11);
  });

  for (const location of ['', 'http://[', 'ftp://host/x', 'file:///etc/passwd', 'http://user:pw@127.0.0.1/x', 'javascript:1']) {
    test(`a redirect to ${JSON.stringify(location)} is refused`, async () => {
      await using client = openTestClient();
      proxy.break({ path: /blobs/, times: 9, fault: { kind: 'answer', status: 302, headers: { location } } });
      await assert.rejects(pull(client), { message: /: the redirect has no usable Location$/ });
    });
  }

  for (const location of ['http://169.254.169.254/latest/', 'http://[fe80::1]/', 'http://[fd00:ec2::254]/']) {
    test(`a redirect to ${location} is refused`, async () => {
      await using client = openTestClient();
      proxy.break({ path: /blobs/, times: 9, fault: { kind: 'answer', status: 302, headers: { location } } });
      await assert.rejects(pull(client), { code: 'ERR_TSBUILD_REGISTRY_ERROR', message: /the registry leads to the private address/ });
    });
  }

  for (const location of [
    '//evil.example/up',
    'http://169.254.169.254/',
    'http://0.0.0.0/',
    'http://127.0.0.1:22/',
    'https://169.254.169.254/',
    'gopher://x',
    '',
  ]) {
    test(`H2 an upload Location ${JSON.stringify(location)} is refused`, async () => {
      await using client = openTestClient();
      proxy.break({ method: 'POST', times: 9, fault: { kind: 'answer', status: 202, headers: { location } } });
      await assert.rejects(
        client.pushBlob(fresh(), BLOB, () => chunked(BYTES), []),
        { code: 'ERR_TSBUILD_REGISTRY_ERROR' },
      );
    });
  }

  test('a relative upload Location is taken', async () => {
    await using client = openTestClient();
    const headers = (from: Record<string, string | string[]>) => {
      const { pathname, search } = new URL(String(from.location));
      return { ...from, location: pathname + search };
    };
    proxy.break({ method: 'POST', fault: { kind: 'edit', headers } });
    await pushFresh(client);
  });

  for (const realm of ['http://evil.example/token', 'http://169.254.169.254/', 'ftp://x/', '/token', '', 'https://u:p@auth.example/']) {
    test(`H3 a token realm ${JSON.stringify(realm)} gets no credentials`, async () => {
      await using client = openTestClient({ dockerConfigDir: secretConfig() });
      const headers = { 'www-authenticate': `Bearer realm="${realm}",service="s"` };
      proxy.break({ times: 99, fault: { kind: 'answer', status: 401, headers } });
      await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_REGISTRY_ERROR', message: /realm/ });
      assert.equal(proxy.requests.length, 1);
    });
  }

  test('H6 a registry that always says 401 is asked at most three times', async () => {
    await using client = openTestClient({ dockerConfigDir: secretConfig() });
    const headers = { 'www-authenticate': `Bearer realm="http://${evil.host}/token"` };
    proxy.break({ times: 99, fault: { kind: 'answer', status: 401, headers } });
    evil.break({ times: 99, fault: { kind: 'answer', status: 200, body: '{"token":"t"}' } });
    await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED' });
    assert.equal(proxy.requests.length, 3);
    assert.equal(evil.requests.length, 2);
  });

  test('a token server that redirects gets no second request, and its target none', async () => {
    await using client = openTestClient({ dockerConfigDir: secretConfig() });
    const headers = { 'www-authenticate': `Bearer realm="http://${proxy.host}/token"` };
    proxy.break({ path: /^\/v2/, times: 99, fault: { kind: 'answer', status: 401, headers } });
    proxy.break({ path: /^\/token/, times: 99, fault: { kind: 'answer', status: 307, headers: { location: `http://${evil.host}/` } } });
    await assert.rejects(client.resolve(app(), AMD64), {
      code: 'ERR_TSBUILD_REGISTRY_ERROR',
      message: /the token server .* answered 307$/,
    });
    assert.equal(evil.requests.length, 0);
  });

  test('a token that ends in the middle of a push is fetched anew, and the blob is read again', async () => {
    await using client = openTestClient({ dockerConfigDir: secretConfig() });
    const headers = { 'www-authenticate': `Bearer realm="http://${evil.host}/token"` };
    proxy.break({ method: 'PUT', fault: { kind: 'answer', status: 401, headers } });
    evil.break({ path: /^\/token/, times: 9, fault: { kind: 'answer', status: 200, body: '{"token":"t"}' } });
    await pushFresh(client);
    const puts = proxy.requests.filter(({ method }) => method === 'PUT');
    assert.deepEqual(
      puts.map((request) => [request.headers.authorization, request.bodyBytes]),
      [
        [undefined, MIB],
        ['Bearer t', MIB],
      ],
    );
  });

  test('a token server that fails for ever is asked five times', async () => {
    await using client = openTestClient();
    proxy.break({
      times: 99,
      fault: { kind: 'answer', status: 401, headers: { 'www-authenticate': `Bearer realm="http://${evil.host}/t"` } },
    });
    evil.break({ times: 99, fault: { kind: 'answer', status: 503 } });
    await assert.rejects(client.resolve(app(), AMD64), { code: 'ERR_TSBUILD_REGISTRY_ERROR', status: 503 });
    assert.equal(evil.requests.length, 5);
  });

  const badTokens: readonly [string, Fault][] = [
    ['no token', { kind: 'answer', status: 200, body: '{}' }],
    ['HTML', { kind: 'answer', status: 200, body: '<html>' }],
    ['a token with a line break', { kind: 'answer', status: 200, body: JSON.stringify({ token: 'a\r\nx: y' }) }],
    ['a token of 100 KB', { kind: 'answer', status: 200, body: JSON.stringify({ token: 'a'.repeat(100_000) }) }],
    ['an endless body', { kind: 'answer', status: 200, body: endless }],
    ['404', { kind: 'answer', status: 404 }],
  ];
  for (const [name, fault] of badTokens) {
    test(`a token server that sends ${name} is an error`, async () => {
      await using client = openTestClient();
      proxy.break({
        times: 99,
        fault: { kind: 'answer', status: 401, headers: { 'www-authenticate': `Bearer realm="http://${evil.host}/t"` } },
      });
      evil.break({ times: 99, fault });
      await assert.rejects(client.resolve(app(), AMD64), { code: /^ERR_TSBUILD_REGISTRY_(ERROR|NOT_FOUND)$/ });
    });
  }
});
