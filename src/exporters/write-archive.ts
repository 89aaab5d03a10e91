/** A deterministic tar of plain files by tar-stream: no times, no owners, the entries as given. */
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Pack } from 'tar-stream';
import { type FileOutput, writeFile } from './write-file.ts';

/** A directory (its name ends in `/`), a small file, or a file of exactly `size` bytes. */
export type ArchiveEntry =
  | { readonly name: string }
  | { readonly name: string; readonly bytes: Buffer }
  | { readonly name: string; readonly size: number; chunks(): AsyncIterable<Buffer> };

type Sink = ReturnType<Pack['entry']>;

const BUFFERED_BYTES = 1 << 20;

export async function writeArchive(entries: readonly ArchiveEntry[], output: FileOutput, signal: AbortSignal): Promise<void> {
  await writeFile(output, (target) => writeTo(entries, target, signal));
}

async function writeTo(entries: readonly ArchiveEntry[], target: Writable, signal: AbortSignal): Promise<void> {
  // `default`: once bundled, a CommonJS module has no other names.
  const { default: tar } = await import('tar-stream');
  const archive = tar.pack({ highWaterMark: BUFFERED_BYTES });
  // A failure of either side destroys the archive, which ends the other: the first one is the cause, and is thrown.
  let failure: { readonly error: unknown } | undefined;
  const fail = (error: unknown): void => {
    failure ??= { error };
    archive.destroy(error instanceof Error ? error : undefined);
  };
  // Destroying tells listeners, and there may be none left.
  archive.on('error', fail);
  await Promise.all([fill(archive, entries, signal).catch(fail), pipeline(bytesOf(archive), target, { signal }).catch(fail)]);
  if (failure !== undefined) throw failure.error;
}

async function* bytesOf(archive: Pack): AsyncGenerator<Buffer> {
  yield* archive as AsyncIterable<Buffer>;
}

async function fill(archive: Pack, entries: readonly ArchiveEntry[], signal: AbortSignal): Promise<void> {
  for (const entry of entries) {
    signal.throwIfAborted();
    if ('bytes' in entry) archive.entry(header(entry.name, entry.bytes.length), entry.bytes);
    else if ('size' in entry) await addFile(archive, entry);
    else archive.entry({ ...header(entry.name, 0), type: 'directory', mode: 0o755 });
  }
  archive.finalize();
}

async function addFile(
  archive: Pack,
  file: { readonly name: string; readonly size: number; chunks(): AsyncIterable<Buffer> },
): Promise<void> {
  const { promise, resolve, reject } = deferred();
  const sink = archive.entry(header(file.name, file.size), (error) => (error ? reject(error) : resolve()));
  // It may fail long before it is awaited, and it tells its listeners besides its callback.
  promise.catch(() => undefined);
  sink.on('error', reject);
  try {
    for await (const chunk of file.chunks()) {
      if (!sink.write(chunk)) await drained(sink);
      if (sink.destroyed) break;
    }
    sink.end(undefined);
  } catch (error) {
    reject(error);
  }
  await promise;
}

/** Also where the archive was destroyed, and nothing will drain any more. */
async function drained(sink: Sink): Promise<void> {
  if (sink.destroyed) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      sink.off('drain', done);
      sink.off('close', done);
      resolve();
    };
    sink.on('drain', done);
    sink.on('close', done);
  });
}

function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve: () => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

function header(name: string, size: number): { name: string; size: number; mode: number; mtime: Date; uid: number; gid: number } {
  return { name, size, mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 };
}
