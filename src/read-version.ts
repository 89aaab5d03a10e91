import { readFileSync } from 'node:fs';

/** The version in the package.json above this file, wherever the build has put it. */
export function readVersion(): string {
  for (let dir = new URL('./', import.meta.url); ; dir = new URL('../', dir)) {
    const found = readPackage(new URL('package.json', dir));
    if (found?.name === 'tsbuild' && found.version !== undefined) return found.version;
    if (dir.pathname === '/') throw new Error('No package.json of tsbuild above its code');
  }
}

function readPackage(file: URL): { name?: string; version?: string } | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
