/**
 * The machine's libzstd (zstd.h), for versions of Node that have no zstd of their own. Frames are compressed on libuv's pool, many at
 * the same time.
 */
import { koffi } from './libc.ts';

export interface ZstdLibrary {
  /** One frame, with its content's size and checksum. */
  compressFrame(content: Buffer, level: number): Promise<Buffer>;
  /** Frames in order, in pieces of any size. */
  openDecoder(windowLogMax: number): ZstdDecoder;
}

export interface ZstdDecoder extends Disposable {
  /** Takes from `input` and gives into `output`; both counts are 0 at the end of both. `isFrameEnd`: nothing of a frame is missing. */
  decode(input: Buffer, output: Buffer): { readonly taken: number; readonly given: number; readonly isFrameEnd: boolean };
}

/** Of the library: its errors have names, and these are what it calls them. */
export class ZstdError extends Error {
  readonly code = 'ZSTD_FAILED';
}

const COMPRESSION_LEVEL = 100;
const CHECKSUM_FLAG = 201;
const WINDOW_LOG_MAX = 100;

interface Functions {
  readonly createCCtx: () => unknown;
  readonly freeCCtx: (context: unknown) => number;
  readonly setCParameter: (context: unknown, parameter: number, value: number) => number;
  readonly compressBound: (size: number) => number;
  readonly compress2: { async(...args: [...args: unknown[], (error: Error | null, result: number) => void]): void };
  readonly createDCtx: () => unknown;
  readonly freeDCtx: (context: unknown) => number;
  readonly setDParameter: (context: unknown, parameter: number, value: number) => number;
  readonly decompress: (...args: unknown[]) => number;
  readonly isError: (result: number) => number;
  readonly errorName: (result: number) => string;
}

let opened: ZstdLibrary | undefined;

/** undefined where the machine has none. */
export function openZstdLibrary(): ZstdLibrary | undefined {
  if (opened !== undefined) return opened;
  const functions = load();
  if (functions === undefined) return undefined;
  opened = {
    compressFrame: (content, level) => compressFrame(functions, content, level),
    openDecoder: (windowLogMax) => openDecoder(functions, windowLogMax),
  };
  return opened;
}

function load(): Functions | undefined {
  try {
    const library = koffi().load('libzstd.so.1');
    const bind = (prototype: string): never => library.func(prototype) as never;
    return {
      createCCtx: bind('void *ZSTD_createCCtx()'),
      freeCCtx: bind('size_t ZSTD_freeCCtx(void *cctx)'),
      setCParameter: bind('size_t ZSTD_CCtx_setParameter(void *cctx, int parameter, int value)'),
      compressBound: bind('size_t ZSTD_compressBound(size_t size)'),
      compress2: bind('size_t ZSTD_compress2(void *cctx, uint8_t *dst, size_t capacity, const uint8_t *src, size_t size)'),
      createDCtx: bind('void *ZSTD_createDCtx()'),
      freeDCtx: bind('size_t ZSTD_freeDCtx(void *dctx)'),
      setDParameter: bind('size_t ZSTD_DCtx_setParameter(void *dctx, int parameter, int value)'),
      decompress: bind(
        'size_t ZSTD_decompressStream_simpleArgs(void *dctx, uint8_t *dst, size_t capacity, size_t *dstPos, const uint8_t *src, size_t size, size_t *srcPos)',
      ),
      isError: bind('uint32_t ZSTD_isError(size_t result)'),
      errorName: bind('const char *ZSTD_getErrorName(size_t result)'),
    };
  } catch {
    return undefined;
  }
}

async function compressFrame(functions: Functions, content: Buffer, level: number): Promise<Buffer> {
  const target = Buffer.allocUnsafeSlow(checked(functions, functions.compressBound(content.length)));
  const context = functions.createCCtx();
  try {
    checked(functions, functions.setCParameter(context, COMPRESSION_LEVEL, level));
    checked(functions, functions.setCParameter(context, CHECKSUM_FLAG, 1));
    const size = await new Promise<number>((resolve, reject) => {
      functions.compress2.async(context, target, target.length, content, content.length, (error, result) =>
        error === null ? resolve(result) : reject(error),
      );
    });
    // A copy: the target is as large as the content, and waits for its turn.
    return Buffer.from(target.subarray(0, checked(functions, size)));
  } finally {
    functions.freeCCtx(context);
  }
}

function openDecoder(functions: Functions, windowLogMax: number): ZstdDecoder {
  const context = functions.createDCtx();
  checked(functions, functions.setDParameter(context, WINDOW_LOG_MAX, windowLogMax));
  const [given, taken] = [new BigUint64Array(1), new BigUint64Array(1)];
  return {
    decode(input, output) {
      given[0] = 0n;
      taken[0] = 0n;
      const left = checked(functions, functions.decompress(context, output, output.length, given, input, input.length, taken));
      return { taken: Number(taken[0]), given: Number(given[0]), isFrameEnd: left === 0 };
    },
    [Symbol.dispose]: () => void functions.freeDCtx(context),
  };
}

function checked(functions: Functions, result: number): number {
  if (functions.isError(result) === 0) return Number(result);
  throw new ZstdError(functions.errorName(result));
}
