/** Compressed bytes to plain ones, by what they are and not by what their label says: gzip (RFC 1952), zstd (RFC 8878), neither. */
import { once } from 'node:events';
import zlib from 'node:zlib';
import { TsbuildError } from '../errors.ts';
import { type Decoder, zstdEngine } from './zstd-engine.ts';
import { cutAtFrameEnds } from './zstd-frames.ts';

const CHUNK_BYTES = 1 << 18;
const MAGIC_BYTES = 6;

/** Throws LAYER_INVALID for broken or unfinished input and for anything after its end, UNSUPPORTED for other compressions. */
export async function* decompress(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const { head, all } = await peek(source);
  const decoder = decoderFor(head);
  if (decoder === undefined) yield* all;
  else yield* decode(isZstd(head) ? cutAtFrameEnds(all) : all, decoder);
}

function decoderFor(head: Buffer): Decoder | undefined {
  const magic = head.toString('hex');
  if (isGzip(head)) return zlib.createGunzip({ chunkSize: CHUNK_BYTES });
  if (isZstd(head)) return zstdEngine('decompress').decoder();
  if (magic.startsWith('425a68')) throw unsupported('bzip2');
  if (magic.startsWith('fd377a585a00')) throw unsupported('xz');
  return undefined;
}

/** Of a file that starts so: whether its bytes are handed to a decoder, which keeps them for a while. */
export function isDecoded(head: Buffer): boolean {
  return isGzip(head) || isZstd(head);
}

function isGzip(head: Buffer): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

function isZstd(head: Buffer): boolean {
  return /^(?:28b52ffd|5[0-9a-f]2a4d18)/.test(head.toString('hex'));
}

async function* decode(source: AsyncIterable<Buffer>, decoder: Decoder): AsyncGenerator<Buffer, void, undefined> {
  const stop = new AbortController();
  const input = { size: 0, isFed: false };
  const feeding = feed(source, decoder, { input, signal: stop.signal });
  // Observed below; a rejection while output is still being read must not count as unhandled.
  feeding.catch((error: unknown) => decoder.destroy(error instanceof Error ? error : new Error(String(error))));
  try {
    for await (const chunk of decoder) yield chunk as Buffer;
  } catch (error) {
    throw asLayerError(error);
  } finally {
    stop.abort();
    decoder.destroy();
    await feeding.catch(() => undefined);
  }
  if (!input.isFed || decoder.bytesWritten !== input.size) throw broken('bytes follow after its end');
}

async function feed(
  source: AsyncIterable<Buffer>,
  decoder: Decoder,
  how: { input: { size: number; isFed: boolean }; signal: AbortSignal },
): Promise<void> {
  for await (const chunk of source) {
    how.input.size += chunk.length;
    if (how.signal.aborted) return;
    if (!decoder.write(chunk)) {
      try {
        await once(decoder, 'drain', { signal: how.signal });
      } catch (error) {
        if (how.signal.aborted) return;
        throw error;
      }
    }
  }
  how.input.isFed = true;
  decoder.end();
}

/** The first bytes, and the whole source again. */
async function peek(source: AsyncIterable<Buffer>): Promise<{ head: Buffer; all: AsyncIterable<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  for (let size = 0; size < MAGIC_BYTES; ) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(next.value);
    size += next.value.length;
  }
  return { head: Buffer.concat(first).subarray(0, MAGIC_BYTES), all: resume(first, iterator) };
}

async function* resume(first: Buffer[], iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* first;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}

/** zlib's own errors are about the layer; errors of the source pass as they are. */
function asLayerError(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code.startsWith('Z_') || code.startsWith('ZSTD_') ? broken(String(error instanceof Error ? error.message : error), error) : error;
}

function unsupported(name: string): TsbuildError {
  return new TsbuildError('UNSUPPORTED', `Cannot decompress ${name}: only gzip and zstd are supported`);
}

function broken(reason: string, cause?: unknown): TsbuildError {
  return new TsbuildError('LAYER_INVALID', `Cannot decompress a layer: ${reason}`, { cause });
}
