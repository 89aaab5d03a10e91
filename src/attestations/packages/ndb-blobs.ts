/** The blobs of an ndb, rpm's own database, which SUSE uses. Source: rpm's documentation of its ndb backend: slots of 16 bytes that name blobs in blocks of 16 bytes. */
import { byteBudget, RecordError, type RecordFile } from './record-file.ts';

const [DATABASE, SLOT, BLOB] = ['RpmP', 'Slot', 'BlbS'];
const BLOCK_BYTES = 16;
const PAGE_BYTES = 4096;
const PAGES_MAX = 1 << 14;

/** In the order of its slots. Throws RecordError. */
export function* ndbBlobs(file: RecordFile): Generator<Buffer> {
  const header = file.at(0, 2 * BLOCK_BYTES);
  if (header.toString('latin1', 0, 4) !== DATABASE || header.readUInt32LE(4) !== 0) throw new RecordError('it is no ndb of version 0');
  const pages = header.readUInt32LE(12);
  if (pages > PAGES_MAX) throw new RecordError('it has too many slots');
  const spend = byteBudget(file.size);
  const slots = file.at(0, pages * PAGE_BYTES);
  for (let at = header.length; at < slots.length; at += BLOCK_BYTES) {
    if (slots.toString('latin1', at, at + 4) !== SLOT) throw new RecordError('a slot is none');
    const [index, block] = [slots.readUInt32LE(at + 4), slots.readUInt32LE(at + 8)];
    // Empty ones wait for packages.
    if (index !== 0) yield blobAt(file, { index, position: block * BLOCK_BYTES, spend });
  }
}

interface Place {
  readonly index: number;
  readonly position: number;
  readonly spend: (bytes: number) => void;
}

function blobAt(file: RecordFile, { index, position, spend }: Place): Buffer {
  const header = file.at(position, BLOCK_BYTES);
  if (header.toString('latin1', 0, 4) !== BLOB || header.readUInt32LE(4) !== index)
    throw new RecordError('a slot leads to no blob of its own');
  const length = header.readUInt32LE(12);
  spend(length);
  return file.at(position + BLOCK_BYTES, length);
}
