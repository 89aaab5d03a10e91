import { type ImageSummary, listImages } from '../../index.ts';
import { hexOf } from '../../oci/digest.ts';
import { formatAge, formatSize } from '../../text/quantities.ts';
import type { Invocation } from '../command-table.ts';
import { tableLines } from '../table.ts';
import { printResult, type Terminal } from '../terminal.ts';

const HEADINGS = ['NAME', 'DIGEST', 'IMAGE ID', 'CREATED', 'SIZE'];

/** `tsbuild images`: a table, digests (`-q`), or an array of JSON. */
export async function run({ flags, terminal }: Invocation): Promise<number> {
  const images = await listImages({ root: flags.root, signal: terminal.signal });
  if (flags.format === 'json') printResult(terminal, JSON.stringify(images, undefined, 2));
  else if (flags.quiet === true) for (const { digest } of images) printResult(terminal, digest);
  else printTable(terminal, images);
  return 0;
}

function printTable(terminal: Terminal, images: readonly ImageSummary[]): void {
  const rows = [HEADINGS, ...images.map(rowOf)];
  for (const line of tableLines(rows)) printResult(terminal, line);
}

function rowOf({ name, digest, imageId, createdAt, size }: ImageSummary): string[] {
  const age = Date.now() - Date.parse(createdAt);
  return [name, hexOf(digest).slice(0, 12), hexOf(imageId).slice(0, 12), Number.isNaN(age) ? '' : formatAge(age), formatSize(size)];
}
