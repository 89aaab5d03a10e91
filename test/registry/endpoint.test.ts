import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HostScope, mayLeadTo, scopeOfAddress, scopeOfHost } from '../../src/http/host-scope.ts';
import { shownUrl } from '../../src/http/shown-url.ts';
import { type Endpoint, endpointOf, redirectTarget, tokenRealm, uploadTarget, type Verdict } from '../../src/registry/endpoint.ts';
import { quoteForeignWords } from '../../src/registry/foreign-words.ts';
import { guardedLookup } from '../../src/registry/guarded-lookup.ts';

for (const [registry, origin] of [
  ['docker.io', 'https://registry-1.docker.io'],
  ['quay.io', 'https://quay.io'],
  ['r.example:443', 'https://r.example'],
  ['r.example:80', 'https://r.example:80'],
  ['localhost:5000', 'http://localhost:5000'],
  ['127.8.9.10', 'http://127.8.9.10'],
  ['[::1]:5000', 'http://[::1]:5000'],
  ['10.0.0.1:5000', 'https://10.0.0.1:5000'],
  ['localhost.evil.example', 'https://localhost.evil.example'],
  ['127.0.0.1.evil.example', 'https://127.0.0.1.evil.example'],
  ['plain.example:5000', 'http://plain.example:5000'],
  ['plain.example', 'https://plain.example'],
] as const) {
  test(`endpointOf() speaks to ${registry} at ${origin}`, () => {
    assert.equal(endpointOf(registry, ['plain.example:5000']).origin, origin);
  });
}

const secure: Endpoint = endpointOf('r.example', []);
const local: Endpoint = endpointOf('localhost:5000', []);
const shown = (verdict: Verdict): string | undefined => ('url' in verdict ? verdict.url.href : undefined);

test('redirectTarget() follows https, and never leaves it', () => {
  const from = new URL('https://r.example/v2/a/blobs/x');
  assert.equal(shown(redirectTarget('https://cdn.example/x?sig=1', from)), 'https://cdn.example/x?sig=1');
  assert.equal(shown(redirectTarget('/y', from)), 'https://r.example/y');
  assert.equal(shown(redirectTarget('//cdn.example/y', from)), 'https://cdn.example/y');
  for (const bad of ['http://r.example/x', 'ftp://r.example/', 'https://u:p@cdn.example/', '', undefined]) {
    assert.equal(shown(redirectTarget(bad, from)), undefined, bad);
  }
});

test('uploadTarget() stays at the registry, or goes on by https', () => {
  const from = new URL('http://localhost:5000/v2/a/blobs/uploads/');
  assert.equal(shown(uploadTarget('/v2/up?x=1', from, local)), 'http://localhost:5000/v2/up?x=1');
  assert.equal(shown(uploadTarget('http://localhost:5000/up', from, local)), 'http://localhost:5000/up');
  assert.equal(shown(uploadTarget('https://other.example/up', from, local)), 'https://other.example/up');
  for (const bad of ['http://localhost:5001/up', '//evil.example/up', 'http://evil.example/', undefined]) {
    assert.equal(shown(uploadTarget(bad, from, local)), undefined, bad);
  }
});

test('tokenRealm() is https, or the same host of a plain HTTP registry', () => {
  assert.equal(shown(tokenRealm('https://auth.example/token', secure)), 'https://auth.example/token');
  assert.equal(shown(tokenRealm('http://localhost:5001/token', local)), 'http://localhost:5001/token');
  assert.equal(shown(tokenRealm('http://127.0.0.1:5001/token', local)), 'http://127.0.0.1:5001/token');
  for (const bad of [
    'http://r.example/token',
    'http://auth.example/token',
    'http://localhost/token',
    '/token',
    'https://u:p@a.example/',
    '',
    undefined,
  ]) {
    assert.equal(shown(tokenRealm(bad, secure)), undefined, bad);
  }
  assert.equal(shown(tokenRealm('http://auth.example/token', local)), undefined);
});

const SCOPES: readonly [string, HostScope][] = [
  ['127.0.0.1', 'loopback'],
  ['127.255.0.1', 'loopback'],
  ['0.0.0.0', 'loopback'],
  ['::1', 'loopback'],
  ['::', 'loopback'],
  ['::ffff:127.0.0.1', 'loopback'],
  ['::ffff:7f00:1', 'loopback'],
  ['169.254.169.254', 'link-local'],
  ['::ffff:169.254.169.254', 'link-local'],
  ['fe80::1', 'link-local'],
  ['fd00:ec2::254', 'link-local'],
  ['10.1.2.3', 'private'],
  ['172.31.255.255', 'private'],
  ['192.168.0.1', 'private'],
  ['100.64.0.1', 'private'],
  ['224.0.0.1', 'private'],
  ['255.255.255.255', 'private'],
  ['fd12::1', 'private'],
  ['64:ff9b::a00:1', 'private'],
  ['2002:7f00:1::', 'private'],
  ['8.8.8.8', 'public'],
  ['172.32.0.1', 'public'],
  ['192.169.0.1', 'public'],
  ['2606:4700::1111', 'public'],
];
for (const [address, scope] of SCOPES) {
  test(`scopeOfAddress() finds ${address} ${scope}`, () => assert.equal(scopeOfAddress(address), scope));
}

test('scopeOfHost() knows the odd spellings that URL parses to addresses', () => {
  for (const host of ['2130706433', '0x7f.1', '127.1', '[::ffff:127.0.0.1]', 'LOCALHOST', 'a.localhost']) {
    assert.equal(scopeOfHost(new URL(`http://${host}`).hostname), 'loopback', host);
  }
  assert.equal(scopeOfHost('r.example'), undefined);
});

test('mayLeadTo() leads outward alone', () => {
  const from: Record<HostScope, HostScope[]> = {
    public: ['public'],
    private: ['public', 'private'],
    loopback: ['public', 'private', 'loopback'],
    'link-local': ['public', 'link-local'],
  };
  for (const [start, allowed] of Object.entries(from)) {
    for (const to of ['public', 'private', 'loopback', 'link-local'] as const) {
      assert.equal(mayLeadTo([start as HostScope], to), allowed.includes(to), `${start} to ${to}`);
    }
  }
});

for (const [scope, allowed] of [
  ['public', false],
  ['private', false],
  ['loopback', true],
] as const) {
  for (const all of [true, false]) {
    test(`guardedLookup() ${allowed ? 'finds' : 'hides'} localhost for a ${scope} registry (all: ${all})`, async () => {
      const found = await new Promise<unknown>((resolve) => {
        guardedLookup(async () => [scope])('localhost', { all }, (error, address) => resolve(error === null ? address : error));
      });
      if (!allowed) assert.equal((found as NodeJS.ErrnoException).code, 'PRIVATE_ADDRESS');
      else assert.match(JSON.stringify(found), /127\.0\.0\.1|::1/);
    });
  }
}

test('shownUrl() and quoteForeignWords() leave no userinfo, query or control character', () => {
  assert.equal(shownUrl(new URL('https://u:SECRET@h:8/p?X-Amz-Signature=SECRET#SECRET')), 'https://h:8/p');
  assert.equal(quoteForeignWords('see https://u:SECRET@h/p?sig=SECRET, or\r\n\u001b[2J http://[SECRET'), 'see https://h/p or [2J a URL');
  assert.equal(quoteForeignWords('x'.repeat(10_000)).length, 300);
});
