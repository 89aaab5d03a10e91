/** openHttpExchange() and the proxies of the environment: the rules are those of registries (test/http/proxy.test.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openHttpExchange } from '../../src/remote-cache/http-exchange.ts';
import { proxiedServer } from '../http/_proxied-server.ts';

const served = proxiedServer(({ headers }, response) => {
  response.end(`${headers.host}${headers['proxy-authorization'] ?? ''}`);
});

async function text(url: string): Promise<string> {
  const http = openHttpExchange({ signal: new AbortController().signal });
  try {
    return await (await http.send({ method: 'GET', url: new URL(url), headers: {}, action: 'read' })).text();
  } finally {
    await http.close();
  }
}

test('a cache service is reached through ALL_PROXY, too, and its password is shown to the proxy alone', async () => {
  process.env['ALL_PROXY'] = `me:pw@127.0.0.1:${served.proxyPort}`;
  assert.equal(await text('http://cache.example/x'), 'cache.example');
  assert.deepEqual(served.asked, ['cache.example:80 Basic bWU6cHc=']);
});

test('a cache service of this machine, by whatever address, is not behind a proxy; nor is a range in NO_PROXY', async () => {
  process.env['http_proxy'] = `http://127.0.0.1:${served.proxyPort}`;
  process.env['no_proxy'] = '127.0.0.0/8';
  const own = `0.0.0.0:${served.port}`;
  assert.equal(await text(`http://${own}/x`), own);
  assert.equal(await text(`http://127.0.0.1:${served.port}/x`), `127.0.0.1:${served.port}`);
  assert.deepEqual(served.asked, []);
});

test('a variable that names no proxy is refused, without its value', async () => {
  process.env['http_proxy'] = 'socks5://u:SECRET@h:1';
  await assert.rejects(text('http://cache.example/x'), (error: Error & { code: string }) => {
    assert.equal(error.code, 'ERR_TSBUILD_CONFIGURATION_INVALID');
    assert.doesNotMatch(String(error), /SECRET/);
    return true;
  });
});
