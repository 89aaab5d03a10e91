/** Certificates of private authorities, one directory for each registry. Source: Docker's documentation of `/etc/docker/certs.d`. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';

/** Longest certificate file that is read. */
const FILE_MAX = 1024 * 1024;

/** The `*.crt` files of `<directory>/<host>` together with Node's own roots; undefined where there are none. */
export async function readRegistryCertificates(directory: string, host: string): Promise<string[] | undefined> {
  const home = join(directory, host);
  const names = await readdir(home).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EACCES') return [];
    throw error;
  });
  const files = names.filter((name) => name.endsWith('.crt')).sort();
  if (files.length === 0) return undefined;
  const texts = await Promise.all(files.map((name) => readFile(join(home, name), 'utf8')));
  return [...rootCertificates, ...texts.filter((text) => text.length <= FILE_MAX)];
}
