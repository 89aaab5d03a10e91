/** fetchHttp() and the proxies of the environment: the rules are those of registries (test/http/proxy.test.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchHttp } from '../../src/context/http-source.ts';
import { proxiedServer } from '../http/_proxied-server.ts';

const served = proxiedServer(({ headers, url }, response, port) => {
  if (url === '/away') response.writeHead(302, { location: `http://127.0.0.1:${port}/file` }).end();
  else response.end(`${headers.host}${headers['proxy-authorization'] ?? ''}`);
});

async function text(url: string, signal = new AbortController().signal): Promise<string> {
  return await fetchHttp({ url: new URL(url), known: {}, signal }, async (answer) => {
    assert.equal(answer.kind, 'file');
    const chunks: Buffer[] = [];
    if (answer.kind === 'file') for await (const chunk of answer.body) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  });
}

test('fetchHttp() takes ALL_PROXY where the scheme has no proxy of its own, and shows its password to the proxy alone', async () => {
  process.env['ALL_PROXY'] = `me:pw@127.0.0.1:${served.proxyPort}`;
  assert.equal(await text('http://files.example/file'), 'files.example');
  assert.deepEqual(served.asked, ['files.example:80 Basic bWU6cHc=']);
});

test('fetchHttp() chooses anew for each redirect: this machine is never behind a proxy', async () => {
  process.env['http_proxy'] = `http://127.0.0.1:${served.proxyPort}`;
  assert.equal(await text('http://files.example:8080/away'), `127.0.0.1:${served.port}`);
  assert.deepEqual(served.asked, ['files.example:8080']);
});

test('fetchHttp() heeds NO_PROXY with ranges, suffixes and ports', async () => {
  process.env['http_proxy'] = `http://127.0.0.1:${served.proxyPort}`;
  process.env['no_proxy'] = '198.51.100.0/24, .invalid,other.example:81';
  for (const url of ['http://198.51.100.7/file', 'http://files.invalid/file', 'http://other.example:81/file']) {
    await assert.rejects(text(url, AbortSignal.timeout(300)), url);
  }
  assert.deepEqual(served.asked, []);
  assert.equal(await text('http://198.51.101.7/file'), '198.51.101.7');
  assert.equal(await text('http://other.example:82/file'), 'other.example:82');
  assert.equal(served.asked.length, 2);
});

test('fetchHttp() refuses a variable that names no proxy, without its value', async () => {
  process.env['http_proxy'] = 'socks5://u:SECRET@h:1';
  await assert.rejects(text('http://files.example/file'), (error: Error & { code: string }) => {
    assert.equal(error.code, 'ERR_TSBUILD_CONFIGURATION_INVALID');
    assert.doesNotMatch(String(error), /SECRET/);
    return true;
  });
});
