/** Bodies on their way from the socket: memory that is read into again and again must never show in what was handed out. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { endpointOf } from '../../src/registry/endpoint.ts';
import { NO_REGISTRIES } from '../../src/registry/registries.ts';
import { openTransport, type Transport } from '../../src/registry/transport.ts';
import { returnPiece } from '../../src/sys/piece.ts';
import { noise } from './_images.ts';

const BYTES = noise(9 << 20, 5);
let writes: { readonly bytes: () => number; readonly waitMs: () => number };

const server = createServer((request, response) => {
  const body = BYTES.subarray(Number(request.url?.slice(1) ?? 0));
  const send = async (): Promise<void> => {
    for (let at = 0; at < body.length; ) {
      const end = at + writes.bytes();
      if (!response.write(body.subarray(at, end))) await new Promise((resolve) => response.once('drain', resolve));
      at = end;
      await sleep(writes.waitMs());
    }
    response.end();
  };
  send().catch(() => {});
});
before(async () => await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
after(() => server.close());

const address = () => `127.0.0.1:${(server.address() as AddressInfo).port}`;

function open(): { transport: Transport; get: (offset: number) => Promise<AsyncIterable<Buffer>> } {
  const transport = openTransport({
    ...{ signal: new AbortController().signal, idleMs: 10_000, connectMs: 10_000 },
    certificates: { directories: [], registries: NO_REGISTRIES },
  });
  const get = async (offset: number) => {
    const request = { method: 'GET' as const, url: new URL(`http://${address()}/${offset}`), headers: {}, action: 'read' };
    return (await transport.send(request, endpointOf(address(), []))).body;
  };
  return { transport, get };
}

for (const [what, send, waitMs] of [
  ['large pieces at once', { bytes: () => 3 << 20, waitMs: () => 0 }, () => 0],
  [
    'pieces of any size, to a reader that often lags behind',
    { bytes: () => 1 + Math.random() * 400_000, waitMs: () => Math.random() * 2 },
    () => Math.random() * 8,
  ],
  ['small pieces', { bytes: () => 9000 + Math.random() * 9000, waitMs: () => 0 }, () => 0],
] as const) {
  test(`a body that comes in ${what} is what was sent, on connections that are used again`, async () => {
    writes = send;
    const { transport, get } = open();
    const read = async (offset: number): Promise<void> => {
      const kept: Buffer[] = [];
      let at = offset;
      for await (const chunk of await get(offset)) {
        assert.ok(chunk.equals(BYTES.subarray(at, at + chunk.length)), `at ${at}`);
        at += chunk.length;
        // Some are kept and looked at again at the end, others are given back at once.
        if (Math.random() < 0.5) kept.push(Buffer.from(chunk), chunk);
        else returnPiece(chunk);
        const pause = waitMs();
        if (pause > 6) await sleep(pause);
      }
      assert.equal(at, BYTES.length);
      for (let i = 0; i < kept.length; i += 2) assert.ok(kept[i]?.equals(kept[i + 1] ?? Buffer.alloc(0)));
    };
    for (let round = 0; round < 2; round += 1) await Promise.all([0, 1, 4_000_000, BYTES.length - 5, BYTES.length].map(read));
    await transport.close();
  });
}

test('a body is handed on as it comes, without waiting for more', { timeout: 20_000 }, async () => {
  let sent = 0;
  writes = { bytes: () => 10, waitMs: () => (sent++ === 0 ? 0 : 50) };
  const { transport, get } = open();
  const lengths: number[] = [];
  for await (const chunk of await get(BYTES.length - 50)) lengths.push(chunk.length);
  assert.ok(lengths.length >= 3, lengths.join());
  assert.equal(
    lengths.reduce((sum, length) => sum + length),
    50,
  );
  await transport.close();
});
