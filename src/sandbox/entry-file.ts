/** Programs of ours that run in a process or a thread of their own are files of their own in the package. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Beside the module `from` when compiled file by file; above it in the bundle, where that module is a chunk. */
export function entryFile(name: string, from: string): string {
  const places = [`./${name}`, `../${name}`].map((place) => fileURLToPath(new URL(place, from)));
  const path = places.find((place) => existsSync(place));
  if (path === undefined) throw new Error(`The package lacks ${places.join(' and ')}`);
  return path;
}
