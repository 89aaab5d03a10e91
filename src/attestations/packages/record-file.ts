/** A database of an image, read where its numbers lead: every one of them is a stranger's. */
import { readSync } from 'node:fs';

/** The file cannot be read as what it should be; the message goes on after "Cannot read all packages of FILE: ". */
export class RecordError extends Error {}

export interface RecordFile {
  readonly size: number;
  /** Exactly so many bytes. Throws RecordError where the file has fewer. */
  at(position: number, length: number): Buffer;
}

/** The descriptor stays the caller's. */
export function recordFile(fd: number, size: number): RecordFile {
  return {
    size,
    at(position, length) {
      if (position + length > size) throw new RecordError('it is cut off');
      const bytes = Buffer.alloc(length);
      if (readSync(fd, bytes, 0, length, position) < length) throw new RecordError('it is cut off');
      return bytes;
    },
  };
}

/** Takes as much as a file of this size can hold, each byte once; beyond that it throws RecordError. */
export function byteBudget(size: number): (bytes: number) => void {
  let left = size;
  return (bytes) => {
    left -= bytes;
    if (left < 0) throw new RecordError('its rows are longer than it is');
  };
}
