/** zstd as this process can have it: Node's own (22.15), else the machine's libzstd. */
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import { TsbuildError } from '../errors.ts';
import { openZstdLibrary, type ZstdLibrary } from '../sys/zstd-library.ts';
import { ZstdTransform } from './zstd-transform.ts';

export type Decoder = Transform & { readonly bytesWritten: number };

export interface ZstdEngine {
  /** One frame with its content's size and checksum. */
  compressFrame(content: Buffer, level: number): Promise<Buffer>;
  decoder(): Decoder;
}

type Parameters = { readonly chunkSize?: number; readonly params: Readonly<Record<number, number>> };

/** What @types/node 20 does not know yet (Node 22.15). */
interface ZlibWithZstd {
  createZstdDecompress?(options: Parameters): Decoder;
  zstdCompress?(content: Buffer, options: Parameters, done: (error: Error | null, result: Buffer) => void): void;
  constants: { ZSTD_c_compressionLevel?: number; ZSTD_c_checksumFlag?: number; ZSTD_d_windowLogMax?: number };
}

const CHUNK_BYTES = 1 << 18;
/** A frame may ask for a window of gigabytes; 128 MiB is what the zstd program takes without being asked. */
const WINDOW_LOG_MAX = 27;

/** Throws UNSUPPORTED where there is neither. */
export function zstdEngine(purpose: 'compress' | 'decompress'): ZstdEngine {
  const found = ofNode() ?? ofLibrary(openZstdLibrary());
  if (found !== undefined) return found;
  throw new TsbuildError(
    'UNSUPPORTED',
    `Cannot ${purpose} zstd: neither Node ${process.versions.node} nor this machine has libzstd (libzstd.so.1)`,
    { hint: 'Install it (Debian: libzstd1), run tsbuild with Node 22.15 or newer, or use gzip.' },
  );
}

function ofNode(): ZstdEngine | undefined {
  const { createZstdDecompress, zstdCompress, constants } = zlib as unknown as ZlibWithZstd;
  const { ZSTD_c_compressionLevel: level, ZSTD_c_checksumFlag: checksum, ZSTD_d_windowLogMax: window } = constants;
  if (createZstdDecompress === undefined || zstdCompress === undefined) return undefined;
  if (level === undefined || checksum === undefined || window === undefined) return undefined;
  return {
    compressFrame: (content, value) =>
      new Promise((resolve, reject) => {
        const options = { chunkSize: CHUNK_BYTES, params: { [level]: value, [checksum]: 1 } };
        zstdCompress(content, options, (error, result) => (error === null ? resolve(result) : reject(error)));
      }),
    decoder: () => createZstdDecompress({ chunkSize: CHUNK_BYTES, params: { [window]: WINDOW_LOG_MAX } }),
  };
}

function ofLibrary(library: ZstdLibrary | undefined): ZstdEngine | undefined {
  if (library === undefined) return undefined;
  return { compressFrame: library.compressFrame, decoder: () => new ZstdTransform(library.openDecoder(WINDOW_LOG_MAX)) };
}
