/** Certificates for one registry: private authorities and our own identity. Source: Docker's `/etc/docker/certs.d`, containers-certs.d(5). */
import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import tls from 'node:tls';
import { TsbuildError } from '../errors.ts';
import { configHome } from './read-registries.ts';
import type { Registries } from './registries.ts';

/** Longest file that is read. */
const FILE_MAX = 1024 * 1024;
const PEM = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** PEM; fields as node:tls calls them. */
export interface HostCertificates {
  /** All that are trusted, where they are more than Node trusts anyway. */
  readonly ca?: readonly string[];
  readonly cert?: string;
  readonly key?: string;
}

export interface CertificateSources {
  /** Each with a directory for each host; of client certificates the last one counts, and registries.json before all. */
  readonly directories: readonly string[];
  readonly registries: Registries;
}

/** The machine's, then the user's. */
export function defaultCertificatesDirs(dockerConfigDir: string): readonly string[] {
  const user = join(configHome(process.env), 'containers/certs.d');
  return ['/etc/docker/certs.d', '/etc/containers/certs.d', user, join(dockerConfigDir, 'certs.d')];
}

/**
 * What the files for `names`, each host or host:port of one server, say. `trust` alone: a host that a registry leads to gets to
 * see no client certificate. Throws CONFIGURATION_INVALID where half of a pair is missing, or a file is not what its name says.
 */
export async function readHostCertificates(
  { directories, registries }: CertificateSources,
  names: readonly string[],
  purpose: 'identity' | 'trust',
): Promise<HostCertificates> {
  const homes = directories.flatMap((directory) => [...new Set(names)].map((name) => join(directory, name)));
  const found: DirectoryFiles[] = [];
  for (const home of homes) found.push(await listDirectory(home));
  for (const name of new Set(names)) {
    const { ca, cert, key } = registries.entries.get(name) ?? {};
    found.push({ authorities: ca === undefined ? [] : [ca], pairs: cert === undefined || key === undefined ? [] : [{ cert, key }] });
  }
  const authorities = await Promise.all(found.flatMap((files) => files.authorities).map(readAuthorities));
  const pair = purpose === 'trust' ? undefined : found.flatMap((files) => files.pairs).at(-1);
  return {
    ...(authorities.length === 0 ? {} : { ca: [...(await defaultAuthorities()), ...authorities] }),
    ...(pair === undefined ? {} : await readPair(pair)),
  };
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

interface DirectoryFiles {
  readonly authorities: readonly string[];
  readonly pairs: readonly Pair[];
}

async function listDirectory(home: string): Promise<DirectoryFiles> {
  const names = await readdir(home).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EACCES') return [];
    throw error;
  });
  const all = new Set(names);
  for (const name of names) {
    const [, stem, ending] = /^(.*)\.(cert|key)$/.exec(name) ?? [];
    const other = `${stem}.${ending === 'cert' ? 'key' : 'cert'}`;
    if (stem !== undefined && !all.has(other)) wrong(join(home, name), `there is no ${other} beside it; authorities are named *.crt`);
  }
  const sorted = names.toSorted();
  return {
    authorities: sorted.filter((name) => name.endsWith('.crt')).map((name) => join(home, name)),
    pairs: sorted
      .filter((name) => name.endsWith('.cert'))
      .map((name) => ({ cert: join(home, name), key: join(home, name.replace(/\.cert$/, '.key')) })),
  };
}

async function readAuthorities(file: string): Promise<string> {
  const text = await readPem(file);
  const blocks = text.match(PEM) ?? [];
  if (blocks.length === 0) wrong(file, 'it has no certificate in PEM');
  for (const block of blocks) {
    try {
      new X509Certificate(block);
    } catch (cause) {
      wrong(file, 'one of its certificates cannot be read', cause);
    }
  }
  return text;
}

async function readPair(pair: Pair): Promise<{ cert: string; key: string }> {
  const [cert, key] = await Promise.all([readPem(pair.cert), readPem(pair.key)]);
  try {
    tls.createSecureContext({ cert, key });
  } catch (cause) {
    wrong(pair.cert, `it and ${pair.key} are no certificate with its key, without a pass phrase`, cause);
  }
  return { cert, key };
}

async function readPem(file: string): Promise<string> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => wrong(file, error.code ?? 'it cannot be read', error));
  if (bytes.length > FILE_MAX) wrong(file, 'it is larger than 1 MiB');
  return bytes.toString('latin1');
}

/** What Node trusts when it is told nothing; before Node 22.15 it does not say what it has read from NODE_EXTRA_CA_CERTS. */
async function defaultAuthorities(): Promise<readonly string[]> {
  const { getCACertificates } = tls as { getCACertificates?: (kind: 'default') => string[] };
  if (getCACertificates !== undefined) return getCACertificates('default');
  const extra = process.env['NODE_EXTRA_CA_CERTS'] ?? '';
  // Node itself warns of a file that it cannot read.
  const text = extra === '' ? '' : await readFile(extra, 'latin1').catch(() => '');
  return [...tls.rootCertificates, ...(text.match(PEM) ?? [])];
}

function wrong(file: string, reason: string, cause?: unknown): never {
  throw new TsbuildError('CONFIGURATION_INVALID', `Cannot use ${file}: ${reason}`, {
    hint: 'docs/registries.md describes the directories for certificates.',
    cause,
  });
}
