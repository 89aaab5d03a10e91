/** An independent check of a state directory: reads the files itself and uses nothing of src/. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One line per fault; empty where the store is sound. */
export function fsck(root: string): string[] {
  const faults: string[] = [];
  const blobs = join(root, 'blobs/sha256');
  for (const name of readdirSync(blobs)) {
    const found = createHash('sha256')
      .update(readFileSync(join(blobs, name)))
      .digest('hex');
    if (found !== name) faults.push(`blob ${name} holds ${found}`);
  }
  for (const file of readdirSync(join(root, 'refs'))) {
    const ref = JSON.parse(readFileSync(join(root, 'refs', file), 'utf8'));
    faults.push(...checkDescriptor(root, ref.descriptor, file));
  }
  return faults;
}

interface Link {
  mediaType: string;
  digest: string;
  size: number;
}

function checkDescriptor(root: string, link: Link, from: string): string[] {
  const path = join(root, 'blobs/sha256', link.digest.replace('sha256:', ''));
  if (!existsSync(path)) return [`${from} leads to missing ${link.digest}`];
  const bytes = readFileSync(path);
  if (bytes.length !== link.size) return [`${from} says ${link.size} bytes, ${link.digest} has ${bytes.length}`];
  if (!link.mediaType.includes('manifest')) return [];
  const document = JSON.parse(bytes.toString('utf8'));
  const links: Link[] = document.manifests ?? [document.config, ...document.layers];
  return links.flatMap((next) => checkDescriptor(root, next, link.digest));
}
