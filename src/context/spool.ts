/** What comes as a stream and must be read more than once: kept in a file without a name, which the kernel frees with its last descriptor. */
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { TsbuildError } from '../errors.ts';

export interface Spool extends Disposable {
  readonly size: number;
  /** A descriptor of its own at the beginning; the caller closes it. */
  open(): number;
  /** As UTF-8. */
  text(): string;
}

/** An unnamed file (open(2)), which Node has no name for; Linux has one number for it on all architectures that we run on. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** Reads `chunks` to their end into a file on the file system of `directory`. Throws CONTEXT_NOT_FOUND beyond `maxBytes`. */
export async function spool(chunks: AsyncIterable<Buffer>, directory: string, maxBytes: number): Promise<Spool> {
  const fd = openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600);
  // A second opening has its own offset.
  const open = (): number => openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY);
  let size = 0;
  try {
    for await (const chunk of chunks) {
      size += chunk.length;
      if (size > maxBytes)
        throw new TsbuildError('CONTEXT_NOT_FOUND', `Cannot read the build context: it is larger than ${maxBytes} bytes`);
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return {
    size,
    open,
    text() {
      const own = open();
      try {
        return readFileSync(own, 'utf8');
      } finally {
        closeSync(own);
      }
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}
