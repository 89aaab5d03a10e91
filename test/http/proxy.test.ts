import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyFor } from '../../src/http/proxy.ts';

const at = (url: string, env: Record<string, string>): string | undefined => proxyFor(new URL(url), env)?.url.host;

test('proxyFor() takes the variable of the scheme, lower case first, then ALL_PROXY', () => {
  const env = { http_proxy: 'http://a:1', HTTP_PROXY: 'http://b:1', HTTPS_PROXY: 'c:3128', ALL_PROXY: 'http://d:1' };
  assert.equal(at('http://r.example', env), 'a:1');
  assert.equal(at('https://r.example', env), 'c:3128');
  assert.equal(at('https://r.example', { HTTP_PROXY: 'http://b:1' }), undefined);
  assert.equal(at('https://r.example', { HTTPS_PROXY: ' ', all_proxy: 'http://d:1' }), 'd:1');
  assert.equal(at('https://localhost:5000', { ...env }), undefined);
  assert.equal(at('https://127.9.9.9', { ...env }), undefined);
});

test('proxyFor() takes credentials out of the address, and refuses other addresses without showing them', () => {
  const proxy = proxyFor(new URL('https://r.example'), { https_proxy: 'https://m%40e:p%3Aw@proxy.example:8443/x' });
  assert.equal(proxy?.url.href, 'https://proxy.example:8443/');
  assert.equal(proxy?.authorization, `Basic ${Buffer.from('m@e:p:w').toString('base64')}`);
  for (const https_proxy of [
    'socks5://u:SECRET@h:1',
    'http://u:SECRET@',
    'http://u:SECRET@h:99999',
    'file:///SECRET',
    'http://%zz:SECRET@h:1',
  ]) {
    assert.throws(() => proxyFor(new URL('https://r.example'), { https_proxy }), {
      code: 'ERR_TSBUILD_CONFIGURATION_INVALID',
      message: 'Cannot use the proxy of https_proxy: not http://[user:password@]host[:port]',
    });
  }
});

for (const [entry, without, through] of [
  ['*', ['r.example', '10.1.2.3'], []],
  ['r.example', ['r.example', 'R.example', 'a.b.r.example', 'r.example:5000'], ['xr.example', 'example']],
  ['.r.example', ['a.r.example'], ['r.example']],
  ['*.r.example', ['a.r.example'], ['r.example', 'xr.example']],
  ['r.example:5000', ['r.example:5000', 'a.r.example:5000'], ['r.example', 'r.example:5001']],
  ['r.example:443', ['r.example'], ['r.example:5000']],
  ['10.0.0.0/8', ['10.1.2.3', '10.1.2.3:5000'], ['11.0.0.1', '10.r.example', '[fd00::1]']],
  ['fd00::/8', ['[fd12::1]', '[fd12::1]:5000'], ['[fe80::1]', '10.0.0.1']],
  ['192.0.2.7', ['192.0.2.7', '192.0.2.7:5000'], ['192.0.2.70', '192.0.2.8']],
  ['192.0.2.7:5000', ['192.0.2.7:5000'], ['192.0.2.7']],
  ['[2001:db8::1]:5000', ['[2001:db8:0::1]:5000'], ['[2001:db8::1]']],
  ['2001:db8::1', ['[2001:db8::1]'], ['[2001:db8::2]']],
  ['a.example, b.example c.example', ['a.example', 'b.example', 'c.example'], ['d.example']],
  [' , ,', [], ['r.example']],
  ['10.0.0.0/99,r.example/8,:5000', [], ['10.0.0.0', 'r.example', 'r.example:5000']],
] as const) {
  test(`NO_PROXY=${entry} lets ${without.join(' ') || 'nothing'} past the proxy`, () => {
    const direct = (host: string): boolean => at(`https://${host}`, { HTTPS_PROXY: 'http://p:1', NO_PROXY: entry }) === undefined;
    assert.deepEqual(
      without.filter((host) => !direct(host)),
      [],
    );
    assert.deepEqual(through.filter(direct), []);
  });
}
