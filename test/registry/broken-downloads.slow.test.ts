/** X22 to X24, X26 and H11, H12: what a download survives, and what it refuses. The registry is the real one, behind a proxy that breaks it. */
import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { app, BLOB, BYTES, evil, fresh, MIB, proxy, pull } from './_faulty-registry.ts';
import { AMD64, basicAuth, blobOf, chunked, collect, dockerConfig, noise, openTestClient, refOf } from './_images.ts';
import { countScenarios } from './_scenarios.ts';
import { startEmulatedRegistry } from './emulated-registry.ts';
import type { Fault } from './fault-proxy.ts';

const KIB64 = 64 * 1024;

test('X22 a download that breaks at each 64 KiB of 10 MiB goes on there: at most 1.05 times the bytes', { timeout: 120_000 }, async () => {
  const bytes = noise(160 * KIB64, 11);
  const blob = blobOf(bytes);
  await using client = openTestClient();
  await client.pushBlob(app(), blob, () => chunked(bytes), []);
  for (let at = 0; at < blob.size; at += KIB64) {
    proxy.reset();
    const ends = at % (3 * KIB64) !== 0;
    proxy.break({ path: /blobs/, fault: ends ? { kind: 'truncate', bytes: at } : { kind: 'cut-response', bytes: at } });
    const chunks: Buffer[] = [];
    for await (const chunk of client.fetchBlob(app(), blob)) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(bytes), `cut at ${at}`);
    const [, second] = proxy.requests;
    const from = Number(/^bytes=([0-9]+)-/.exec(String(second?.headers.range))?.[1] ?? 0);
    const received = (at + blob.size - from) / blob.size;
    assert.ok(received <= (ends ? 1.05 : 2), `cut at ${at}: received ${received} times`);
    // A reset also loses what was on its way.
    if (from > 0) assert.match(String(second?.headers['if-range']), /^"sha256:/);
  }
  countScenarios('X22 down', blob.size / KIB64);
});

const flip = (body: Buffer): Buffer => Buffer.concat([Buffer.from([(body[0] ?? 0) ^ 1]), body.subarray(1)]);
const lies = (delta: (size: number) => number): Fault => ({
  kind: 'edit',
  headers: (headers) => ({ ...headers, 'content-length': String(delta(BLOB.size)) }),
});
const edited = (body: (bytes: Buffer) => Buffer): Fault => ({ kind: 'edit', body });
const unsized = (body: (bytes: Buffer) => Buffer): Fault => ({
  ...{ kind: 'edit', body },
  headers: ({ 'content-length': _, ...headers }) => headers,
});
const header = (more: Record<string, string>): Fault => ({ kind: 'edit', headers: (headers) => ({ ...headers, ...more }) });

/** What is wrong, once and for ever; whether it comes right when it is wrong only once. */
const WRONG: readonly (readonly [string, Fault, 'mends' | 'refused' | 'arrives'])[] = [
  ...[0, 1, 1000, MIB / 2, MIB - 1].map(
    (bytes) => [`ends cleanly after ${bytes} bytes`, { kind: 'truncate', bytes } as const, bytes < KIB64 ? 'mends' : 'arrives'] as const,
  ),
  ...[0, 1, 1000, MIB / 2, MIB - 1].map(
    (bytes) => [`resets after ${bytes} bytes`, { kind: 'cut-response', bytes } as const, bytes < KIB64 ? 'mends' : 'arrives'] as const,
  ),
  ['says one byte less', lies((size) => size - 1), 'mends'],
  ['says one byte more', lies((size) => size + 1), 'refused'],
  ['says ten times as much', lies((size) => size * 10), 'refused'],
  ['says a tenth', lies((size) => Math.floor(size / 10)), 'mends'],
  ['says nothing and has none', unsized(() => Buffer.alloc(0)), 'mends'],
  ['has another first byte', edited(flip), 'refused'],
  ['has another last byte', edited((body) => Buffer.concat([body.subarray(0, -1), Buffer.from([(body.at(-1) ?? 0) ^ 1])])), 'refused'],
  ['has all bytes but of another blob', edited((body) => noise(body.length, 99)), 'refused'],
  ['has zeros', edited((body) => Buffer.alloc(body.length)), 'refused'],
  ['has a byte after its end', edited((body) => Buffer.concat([body, Buffer.from('x')])), 'refused'],
  ['has as much again after its end', edited((body) => Buffer.concat([body, body])), 'refused'],
  ['has a byte after its end, and no length', unsized((body) => Buffer.concat([body, Buffer.from('x')])), 'refused'],
  ['has a page of the proxy instead', edited(() => Buffer.from('<html>Please log in</html>')), 'refused'],
  ['is empty, with a length of 0', edited(() => Buffer.alloc(0)), 'mends'],
  ['calls itself gzip', header({ 'content-encoding': 'gzip' }), 'arrives'],
  ['names another digest', header({ 'docker-content-digest': `sha256:${'0'.repeat(64)}` }), 'arrives'],
  ['names no digest', header({ 'docker-content-digest': 'nonsense' }), 'arrives'],
  ['has another type', header({ 'content-type': 'text/html' }), 'arrives'],
  ['has a weak ETag', header({ etag: 'W/"x"' }), 'arrives'],
  ['is 206 without a range', { kind: 'edit', status: 206 }, 'refused'],
];

describe('X23: an answer that is not the blob', { timeout: 60_000 }, () => {
  for (const [name, fault, outcome] of WRONG) {
    test(`${name}: ${outcome === 'arrives' ? 'arrives' : outcome === 'mends' ? 'is asked for again' : 'is refused'}`, async () => {
      for (const times of [1, 1000]) {
        proxy.reset();
        proxy.break({ path: /blobs/, times, fault });
        await using client = openTestClient();
        const isRight = outcome === 'arrives' || (outcome === 'mends' && times === 1);
        if (isRight) assert.ok((await pull(client)).equals(BYTES));
        else await assert.rejects(pull(client), { code: /^ERR_TSBUILD_(DIGEST_MISMATCH|REGISTRY_UNREACHABLE|REGISTRY_ERROR)$/ });
        assert.ok(proxy.requests.length <= 11, `${proxy.requests.length} requests`);
      }
      countScenarios('X23 wrong bodies', 2);
    });
  }
  test('a chunked body that never ends is refused when it is longer than the blob', async () => {
    const body = function* (): Generator<Buffer> {
      for (;;) yield Buffer.alloc(KIB64);
    };
    proxy.break({ path: /blobs/, fault: { kind: 'answer', status: 200, body } });
    await using client = openTestClient();
    await assert.rejects(pull(client), { code: 'ERR_TSBUILD_DIGEST_MISMATCH' });
    countScenarios('X23 wrong bodies', 1);
  });
});

/** A server that does with each connection what the test says. */
async function startServer(serve: (socket: Socket) => void): Promise<{ host: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    host: `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const IDLE_MS = 250;
const BOUND_MS = 60_000;
const head = (status: string, headers = ''): string => `HTTP/1.1 ${status}\r\n${headers}\r\n`;
const drip = (socket: Socket, text: string, first = ''): void => {
  socket.write(first);
  const timer = setInterval(() => socket.write(text), 40);
  socket.on('close', () => clearInterval(timer));
};
const onRequest = (answer: (socket: Socket) => void) => (socket: Socket) => void socket.once('data', () => answer(socket));

const SLOW: readonly (readonly [string, (socket: Socket) => void])[] = [
  ['accepts and says nothing', () => {}],
  ['reads and says nothing', onRequest(() => {})],
  ['stops in the status line', onRequest((socket) => socket.write('HTTP/1.1 20'))],
  ['stops in its headers', onRequest((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-'))],
  ['drips headers for ever', onRequest((socket) => drip(socket, 'X-A: b\r\n', 'HTTP/1.1 200 OK\r\n'))],
  ['stops before its body', onRequest((socket) => socket.write(head('200 OK', `Content-Length: ${BLOB.size}\r\n`)))],
  ['stops in its body', onRequest((socket) => socket.write(`${head('200 OK', `Content-Length: ${BLOB.size}\r\n`)}some bytes`))],
  ['drips its body', onRequest((socket) => drip(socket, 'x', head('200 OK', `Content-Length: ${BLOB.size}\r\n`)))],
  ['drips chunks with extensions', onRequest((socket) => drip(socket, '1;a=b\r\nx\r\n', head('200 OK', 'Transfer-Encoding: chunked\r\n')))],
  ['stops in an error', onRequest((socket) => socket.write(`${head('404 Not Found', 'Content-Length: 1000\r\n')}{`))],
  ['says 100 again and again', onRequest((socket) => drip(socket, head('100 Continue')))],
  ['closes at once', (socket) => socket.destroy()],
  ['speaks something else', onRequest((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'))],
  ['has headers of 1 MiB', onRequest((socket) => socket.write(`HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(MIB)}\r\n\r\n`))],
  ['has a million headers', onRequest((socket) => socket.write(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(1_000_000)}\r\n`))],
  ['has two lengths', onRequest((socket) => socket.end(`${head('200 OK', 'Content-Length: 3\r\nContent-Length: 4\r\n')}abc`))],
  [
    'has a length and chunks',
    onRequest((socket) => socket.end(`${head('200 OK', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n')}abc`)),
  ],
  ['has a chunk of no size', onRequest((socket) => socket.end(`${head('200 OK', 'Transfer-Encoding: chunked\r\n')}zz\r\nabc\r\n`))],
];

const ANSWERS = new Set([
  'stops before its body',
  'stops in its body',
  'drips its body',
  'drips chunks with extensions',
  'has a chunk of no size',
]);

describe('X24, H12: a server that keeps us waiting, or speaks badly', { timeout: 120_000, concurrency: 6 }, () => {
  for (const [name, serve] of SLOW) {
    for (const [what, use] of [
      ['a pull', (host: string, client: ReturnType<typeof openTestClient>) => collect(client.fetchBlob(refOf(host, 'app:1'), BLOB))],
      ['a manifest', (host: string, client: ReturnType<typeof openTestClient>) => client.resolve(refOf(host, 'app:1'), AMD64)],
      [
        'a push',
        (host: string, client: ReturnType<typeof openTestClient>) => client.pushBlob(refOf(host, 'app:1'), BLOB, () => chunked(BYTES), []),
      ],
    ] as const) {
      // To a HEAD, a 200 is an answer.
      if (what === 'a push' && ANSWERS.has(name)) continue;
      test(`${what} from one that ${name} ends in time with an error that names the host`, async () => {
        await using server = await startServer(serve);
        await using client = openTestClient({ idleMs: IDLE_MS, connectMs: IDLE_MS });
        const start = performance.now();
        await assert.rejects(use(server.host, client), (error: Error & { code: string }) => {
          assert.match(error.code, /^ERR_TSBUILD_(REGISTRY_|DIGEST_MISMATCH|IMAGE_INVALID)/);
          assert.ok(error.message.includes(server.host), error.message);
          return true;
        });
        assert.ok(performance.now() - start < BOUND_MS);
        countScenarios('X24 slow and broken servers', 1);
      });
    }
  }
  test('an upload that is not taken any further ends in time', async () => {
    await using registry = await startEmulatedRegistry({ restMs: 60_000 });
    await using client = openTestClient({ idleMs: IDLE_MS });
    const bytes = noise(30 * MIB, 5);
    await assert.rejects(
      client.pushBlob(refOf(registry.host, 'app:1'), blobOf(bytes), () => chunked(bytes), []),
      {
        code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE',
        message: /takes no more bytes$/,
      },
    );
    countScenarios('X24 slow and broken servers', 1);
  });
});

describe('X26: redirects of a blob', { timeout: 60_000 }, () => {
  const to = (location: string | undefined, status = 307): Fault => ({
    kind: 'answer',
    status,
    headers: location === undefined ? {} : { location },
  });
  const path = `/v2/app/blobs/${BLOB.digest}`;
  const cases: readonly (readonly [string, () => void, 'arrives' | RegExp])[] = [
    [
      'to a signed address of another host',
      () => proxy.break({ path: /blobs/, fault: to(`http://${evil.host}${path}?X-Amz-Signature=SECRET`) }),
      'arrives',
    ],
    ['to a relative address', () => proxy.break({ path: /blobs/, fault: to(`${path}?again`) }), 'arrives'],
    ['to an address without a host', () => proxy.break({ path: /blobs/, fault: to(`//${evil.host}${path}`) }), 'arrives'],
    ['ten times', () => proxy.break({ path: /blobs/, times: 10, fault: to(path) }), 'arrives'],
    ['twenty times', () => proxy.break({ path: /blobs/, times: 20, fault: to(path) }), /more than 10 redirects/],
    [
      'in a circle of two hosts',
      () => {
        proxy.break({ path: /blobs/, times: 99, fault: to(`http://${evil.host}${path}`) });
        evil.break({ path: /blobs/, times: 99, fault: to(`http://${proxy.host}${path}`) });
      },
      /more than 10 redirects/,
    ],
    ['to nowhere', () => proxy.break({ path: /blobs/, fault: to(undefined) }), /no usable Location/],
    ['to a file', () => proxy.break({ path: /blobs/, fault: to('file:///etc/passwd') }), /no usable Location/],
    [
      'with a name and a password',
      () => proxy.break({ path: /blobs/, fault: to(`http://u:SECRET@${evil.host}${path}`) }),
      /no usable Location/,
    ],
    ['to metadata of the cloud', () => proxy.break({ path: /blobs/, fault: to('http://169.254.169.254/latest') }), /private address/],
    [
      'to an address whose time is over, once',
      () => {
        proxy.break({ path: /blobs/, times: 2, fault: to(`http://${evil.host}${path}?X-Amz-Signature=SECRET`) });
        evil.break({ fault: { kind: 'answer', status: 403, body: '<Error><Code>AccessDenied</Code></Error>' } });
      },
      'arrives',
    ],
    [
      'to an address whose time is always over',
      () => {
        proxy.break({ path: /blobs/, times: 9, fault: to(`http://${evil.host}${path}?X-Amz-Signature=SECRET`) });
        evil.break({ times: 9, fault: { kind: 'answer', status: 403 } });
      },
      /403/,
    ],
    [
      'to a store that breaks, by an address that is good once',
      () => {
        proxy.break({ path: /blobs/, times: 2, fault: to(`http://${evil.host}${path}?X-Amz-Signature=SECRET`) });
        evil.break({ fault: { kind: 'cut-response', bytes: 500_000 } });
      },
      'arrives',
    ],
  ];
  for (const [name, prepare, outcome] of cases) {
    test(`${name}: ${outcome === 'arrives' ? 'arrives' : 'is refused'}, and no secret leaves the registry`, async () => {
      await using client = openTestClient({ dockerConfigDir: dockerConfig({ auths: { [proxy.host]: basicAuth('ann', 'SECRET') } }) });
      proxy.break({ fault: { kind: 'answer', status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } } });
      prepare();
      if (outcome === 'arrives') assert.ok((await pull(client)).equals(BYTES));
      else
        await assert.rejects(pull(client), (error: Error) => {
          assert.match(error.message, outcome);
          assert.doesNotMatch(JSON.stringify([error.message, error.stack, error]), /SECRET/);
          return true;
        });
      for (const { headers } of evil.requests) assert.doesNotMatch(JSON.stringify(headers), /authorization|cookie|SECRET|YW5uOlNFQ1JFVA/i);
      countScenarios('X26 redirects', 1);
    });
  }
});

test('H11 a manifest whose Docker-Content-Digest is not its own is refused, one without is taken', async () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const cases: readonly (readonly [string | undefined, boolean])[] = [
    [undefined, true],
    [digest, false],
    [digest.toUpperCase(), false],
    ['sha512:00', false],
    ['nonsense', false],
    ['', false],
  ];
  for (const [said, isTaken] of cases) {
    proxy.reset();
    proxy.break({
      path: /manifests/,
      fault: {
        kind: 'edit',
        headers: ({ 'docker-content-digest': _, ...headers }) => ({
          ...headers,
          ...(said === undefined ? {} : { 'docker-content-digest': said }),
        }),
      },
    });
    await using client = openTestClient();
    const resolved = client.resolve(app(), AMD64);
    if (isTaken) await resolved;
    else await assert.rejects(resolved, { code: 'ERR_TSBUILD_DIGEST_MISMATCH' }, String(said));
  }
  countScenarios('H11 digest headers', cases.length);
});

test('H9 what a reference named first is what is pulled, whatever its tag means later', async () => {
  await using client = openTestClient();
  const { manifest, descriptor } = await client.resolve(app(), AMD64);
  const again = await client.resolve({ ...app(), digest: descriptor.digest }, AMD64);
  assert.deepEqual(again.manifest, manifest);
  proxy.break({ path: /manifests/, fault: { kind: 'edit', body: (body) => Buffer.from(body.toString().replace('2', '2 ')) } });
  await assert.rejects(client.resolve({ ...app(), digest: descriptor.digest }, AMD64), { code: 'ERR_TSBUILD_DIGEST_MISMATCH' });
  assert.ok(fresh().repository !== app().repository);
  countScenarios('H9 tags that move', 2);
});
