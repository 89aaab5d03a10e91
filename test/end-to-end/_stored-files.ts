/** What lies in a directory after a build, as plain bytes: a scan for what must not be there. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

/** Every regular file, by its path; what is gzipped is not any more. */
export function* storedFiles(directory: string): Generator<readonly [file: string, bytes: Buffer]> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) yield* storedFiles(file);
    else if (entry.isFile()) yield [file, unzipped(readFileSync(file))];
  }
}

function unzipped(bytes: Buffer): Buffer {
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
}
