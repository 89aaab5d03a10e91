import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkError } from '../../src/registry/network-error.ts';
import { RegistryError } from '../../src/registry/registry-error.ts';
import { parseRetryAfter, retryPolicy, withRetries } from '../../src/registry/retry.ts';

const failing = (attemptsMax: number) =>
  new RegistryError('REGISTRY_ERROR', 'Cannot x', { request: { method: 'GET', url: 'http://h/' }, attemptsMax });
const signal = new AbortController().signal;

async function waitsOf(random: () => number, attemptsMax: number): Promise<number[]> {
  const waits: number[] = [];
  const policy = retryPolicy({ random, sleep: async (ms) => void waits.push(ms) });
  const attempt = () => Promise.reject(failing(attemptsMax));
  await assert.rejects(withRetries(policy, signal, attempt), { message: 'Cannot x' });
  return waits;
}

test('withRetries() waits 1, 2, 4, 8 s between five attempts', async () => {
  assert.deepEqual(await waitsOf(() => 0, Number.POSITIVE_INFINITY), [1000, 2000, 4000, 8000]);
});

test('withRetries() shortens waits by chance, by a quarter at most', async () => {
  for (const [index, wait] of (await waitsOf(() => 0.999, Number.POSITIVE_INFINITY)).entries()) {
    assert.ok(wait >= 750 * 2 ** index && wait < 760 * 2 ** index, `${wait}`);
  }
});

test('withRetries() heeds the attempts that the error allows', async () => {
  assert.deepEqual(await waitsOf(() => 0, 2), [1000]);
  assert.deepEqual(await waitsOf(() => 0, 1), []);
});

test('withRetries() repeats for who insists what may pass by itself, a timeout and a name without an address too, and nothing else', async () => {
  const times = async (code: string, insists: boolean): Promise<number> => {
    const url = new URL('http://h/');
    const error = networkError(Object.assign(new Error('x'), { code }), { method: 'GET', url, headers: {}, action: 'x' });
    let calls = 0;
    const attempt = async (): Promise<never> => {
      calls += 1;
      throw error;
    };
    await assert.rejects(withRetries(retryPolicy({ attempts: 7, insists, sleep: async () => {} }), signal, attempt));
    return calls;
  };
  for (const code of ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ENOTFOUND']) {
    assert.deepEqual([code, await times(code, false), await times(code, true)], [code, 1, 7]);
  }
  assert.deepEqual([await times('ECONNREFUSED', false), await times('ECONNREFUSED', true)], [2, 7]);
  assert.deepEqual([await times('CERT_HAS_EXPIRED', false), await times('CERT_HAS_EXPIRED', true)], [1, 1]);
  assert.deepEqual([await times('UND_ERR_HEADERS_OVERFLOW', false), await times('UND_ERR_HEADERS_OVERFLOW', true)], [1, 1]);
});

test('withRetries() lets an error that is not a registry error through at once', async () => {
  let calls = 0;
  const bug = new Error('bug');
  const attempt = async (): Promise<never> => {
    calls += 1;
    throw bug;
  };
  await assert.rejects(withRetries(retryPolicy(), signal, attempt), (error) => error === bug);
  assert.equal(calls, 1);
});

test('withRetries() ends a wait when it is aborted', async () => {
  const controller = new AbortController();
  const start = Date.now();
  const waiting = withRetries(retryPolicy({ baseMs: 60_000 }), controller.signal, () => Promise.reject(failing(9)));
  setTimeout(() => controller.abort(), 20);
  await assert.rejects(waiting, { code: 'ERR_TSBUILD_INTERRUPTED' });
  assert.ok(Date.now() - start < 5000);
});

test('parseRetryAfter() reads seconds and dates, and nothing else', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(parseRetryAfter('3', now), 3000);
  assert.equal(parseRetryAfter('Thu, 01 Jan 2026 00:00:03 GMT', now), 3000);
  for (const bad of [undefined, '', '-1', '1.5', '0x10', 'tomorrow', 'Thu, 99 Foo', '9'.repeat(30)]) {
    assert.equal(parseRetryAfter(bad, now), undefined, bad);
  }
});
