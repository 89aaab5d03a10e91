import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Agent } from 'undici';
import { dispatch } from '../../src/registry/dispatch.ts';
import { keepRead, largeReads } from '../../src/registry/large-reads.ts';
import { returnPiece } from '../../src/sys/piece.ts';

const HEADERS = Array.from({ length: 40 }, (_, index) => [`x-header-${index}`, `value-of-${index}-${'abc'.repeat(5)}`] as const);
const BODY = Buffer.from(Uint32Array.from({ length: (8 << 20) / 4 }, (_, index) => index).buffer);

type Framing = 'by length' | { readonly chunks: number };

/** Headers in small pieces, each in a packet of its own, and a large body after them. */
async function answer(socket: Socket, framing: Framing): Promise<void> {
  const length = framing === 'by length' ? `Content-Length: ${BODY.length}` : 'Transfer-Encoding: chunked';
  const head = ['HTTP/1.1 200 OK', length, ...HEADERS.map(([name, value]) => `${name}: ${value}`)].join('\r\n');
  for (const piece of `${head}\r\n\r\n`.match(/[\s\S]{1,50}/g) ?? []) {
    socket.write(piece);
    await wait(2);
  }
  if (framing === 'by length') socket.write(BODY);
  else socket.write(Buffer.concat([...chunksOf(framing.chunks), Buffer.from('0\r\n\r\n')]));
}

function* chunksOf(bytes: number): Generator<Buffer> {
  for (let at = 0; at < BODY.length; at += bytes) {
    const chunk = BODY.subarray(at, at + bytes);
    yield Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]);
  }
}

/** Reads a body as one that hands its pieces on for others to write into, as soon as it has seen them. */
async function readAndGiveBack(body: AsyncIterable<Buffer>): Promise<void> {
  let at = 0;
  for await (const piece of body) {
    await wait(5);
    assert.ok(piece.equals(BODY.subarray(at, at + piece.length)), `what comes at ${at} is what was sent`);
    at += piece.length;
    Buffer.from(piece.buffer).fill(0xff);
    returnPiece(piece);
  }
  assert.equal(at, BODY.length);
}

const FRAMINGS: readonly Framing[] = [
  'by length',
  { chunks: 3 << 10 },
  { chunks: 70 << 10 },
  { chunks: 100_001 },
  { chunks: 300 << 10 },
  { chunks: 3 << 20 },
];

for (const framing of FRAMINGS) {
  const name = framing === 'by length' ? framing : `in chunks of ${framing.chunks} bytes`;
  test(`memory that is read into again is nobody else’s: headers in pieces, and two bodies at once ${name}, three times`, async () => {
    const server = net.createServer((socket) => {
      socket.setNoDelay(true);
      socket.on('data', () => void answer(socket, framing));
      socket.on('error', () => {});
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const agent = agentOf(port);
    const readOne = async (): Promise<void> => {
      const options = { origin: `http://127.0.0.1:${port}`, path: '/', method: 'GET' } as const;
      const { headers, body } = await dispatch(agent, options, new AbortController().signal);
      await readAndGiveBack(body);
      assert.deepEqual(
        HEADERS.map(([name]) => headers[name]),
        HEADERS.map(([, value]) => value),
      );
    };
    try {
      for (let round = 0; round < 3; round++) await Promise.all([readOne(), readOne()]);
    } finally {
      await agent.destroy();
      server.close();
    }
  });
}

function agentOf(port: number): Agent {
  return new Agent({
    connect(_, callback) {
      const socket = net.connect({ port, host: '127.0.0.1', ...largeReads() });
      socket.once('connect', () => callback(null, socket));
      socket.once('error', (error) => callback(error, null));
    },
  });
}

const SMALL_BYTES = 64 << 10;
const PIECE_BYTES = 1 << 20;

/** A socket's reads as libuv reports them. */
function reader(): (bytes: number) => Buffer {
  const { onread } = largeReads();
  const socket = new Socket();
  return (bytes) => {
    const memory = typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer;
    onread.callback.call(socket, bytes, memory as Buffer);
    while (socket.read() !== null);
    return Buffer.from(memory.buffer, memory.byteOffset, bytes);
  };
}

test('a piece that a socket has read into is given once, and to who has the end of what was read', () => {
  const read = reader();
  read(SMALL_BYTES);
  const bytes = read(500_000);
  assert.equal(keepRead(bytes.subarray(0, 400_000)), false);
  assert.equal(keepRead(bytes.subarray(400_000)), true);
  assert.equal(keepRead(bytes.subarray(400_000)), false);
  const later = Array.from({ length: 4 }, () => read(500_000));
  assert.ok(later.every(({ buffer }) => buffer !== bytes.buffer));
});

test('memory that headers may lie in, or that is read into again, is not given', () => {
  const read = reader();
  assert.equal(keepRead(read(SMALL_BYTES)), false);
  assert.equal(keepRead(read(100)), false);
  assert.equal(keepRead(read(500_000)), false, 'it lies behind a small read');
  const bytes = read(500_000);
  read(500_000);
  assert.equal(read(500_000).buffer, bytes.buffer);
  read(PIECE_BYTES);
  assert.equal(read(100).buffer, bytes.buffer);
  assert.equal(keepRead(bytes), false, 'it is read into again');
});
