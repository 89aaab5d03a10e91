/** ADD of a URL: fetched, or known from an earlier build and still good; its digest is what the step's key holds (row ADD1). */
import { openSync, statSync } from 'node:fs';
import { httpMaterial } from '../../attestations/materials.ts';
import { openDownloadCache } from '../../cache/download-cache.ts';
import { fetchHttp } from '../../context/http-source.ts';
import { TsbuildError } from '../../errors.ts';
import { shownUrl } from '../../http/shown-url.ts';
import type { Store } from '../../store/open-store.ts';
import { type ByteString, fromText } from '../../tree/byte-string.ts';
import type { FileNode, FileTree } from '../../tree/file-tree.ts';
import type { OpenSources, SourceGroup } from './source-group.ts';
import { httpAuthorization, type SecretReader } from './source-secrets.ts';
import type { StageRun } from './stage-run.ts';

const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
const NAME_BYTES_MAX = 255;
/** A path without a last component, as Docker names it. */
const UNNAMED = '__unnamed__';

export interface Fetched {
  readonly digest: string;
  readonly file: string;
  readonly lastModified: string | undefined;
}

/** With a checksum, a step that is in the cache asks nobody. Throws FETCH_FAILED, DIGEST_MISMATCH, DOCKERFILE_SYNTAX. */
export function downloadGroup({ resources, plan }: StageRun, address: string, checksum: string | undefined): SourceGroup {
  const url = parseUrl(address);
  const name = fileName(url);
  const expected = checksum === undefined ? undefined : parseChecksum(checksum);
  let fetching: Promise<Fetched> | undefined;
  const fetched = async () => {
    fetching ??= download(resources.store, url, { expected, signal: resources.signal, secrets: resources.secrets });
    return await fetching;
  };
  return {
    name: shownUrl(url),
    async identity() {
      const digest = expected ?? (await fetched()).digest;
      resources.materials.add(httpMaterial(url, digest), plan);
      return ['http', name, digest];
    },
    open: async () => downloadTree(await fetched(), fromText(name)),
    async [Symbol.asyncDispose]() {},
  };
}

export interface Downloading {
  /** The digest (hex) that it must have. */
  readonly expected?: string | undefined;
  readonly signal: AbortSignal;
  readonly secrets?: SecretReader | undefined;
}

/** What a URL gives, kept in the state directory. Throws FETCH_FAILED, DIGEST_MISMATCH. */
export async function download({ root, pin }: Pick<Store, 'root' | 'pin'>, url: URL, how: Downloading): Promise<Fetched> {
  const cache = openDownloadCache(root, (digest) => pin('download', digest));
  const known = cache.get(url.href);
  const digest = how.expected ?? known?.digest;
  const kept = digest === undefined ? undefined : await cache.find(digest);
  if (kept !== undefined && how.expected !== undefined)
    return { digest: how.expected, file: kept, lastModified: known?.digest === how.expected ? known.lastModified : undefined };
  const authorization = httpAuthorization(how.secrets, url);
  const asking = { url, authorization, known: kept === undefined ? {} : (known ?? {}), signal: how.signal };
  const result = await fetchHttp(asking, async (answer) => {
    if (answer.kind === 'unchanged') return known;
    const { body, etag, lastModified } = answer;
    return { ...(await cache.store(body)), etag, lastModified };
  });
  if (result === undefined) throw new Error('Only what is known can be unchanged');
  cache.set(url.href, result);
  if (how.expected !== undefined && result.digest !== how.expected) throw mismatch(url, how.expected, result.digest);
  const file = await cache.find(result.digest);
  if (file === undefined) throw new TsbuildError('DIGEST_MISMATCH', `Cannot use what ${shownUrl(url)} gave: it changed on disk`);
  return { digest: result.digest, file, lastModified: result.lastModified };
}

function downloadTree({ file, lastModified }: Fetched, name: ByteString): OpenSources {
  const seconds = Math.floor((Date.parse(lastModified ?? '') || 0) / 1000);
  const mtimeNs = BigInt(seconds) * 1_000_000_000n;
  const node: FileNode = { type: 'file', mode: 0o600, uid: 0, gid: 0, size: statSync(file).size, mtimeNs, ctimeNs: mtimeNs };
  const tree: FileTree = {
    stat: (path) => (path === name ? node : undefined),
    list: () => [],
    xattrs: () => NO_XATTRS,
    open: () => openSync(file, 'r'),
  };
  return { tree, sources: [{ path: name, node, name }], archives: 'remote' };
}

function parseUrl(address: string): URL {
  if (URL.canParse(address)) return new URL(address);
  throw new TsbuildError('DOCKERFILE_SYNTAX', 'Cannot use a source of ADD: it is no valid URL');
}

/** The last component of the path, never the server's choice: one clean name, or an error. */
function fileName(url: URL): string {
  const path = decoded(url.pathname).replace(/\/+$/, '');
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (name === '') return UNNAMED;
  if (name !== '.' && name !== '..' && !/[\x00-\x1f\x7f]/.test(name) && Buffer.byteLength(name) <= NAME_BYTES_MAX) return name;
  throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot name the file of ${shownUrl(url)}: its last component is no file name`);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    if (error instanceof URIError) return path;
    throw error;
  }
}

function parseChecksum(text: string): string {
  const [, hex] = /^sha256:([a-f0-9]{64})$/.exec(text) ?? [];
  if (hex !== undefined) return hex;
  throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use --checksum=${text.slice(0, 100)}: it is not sha256: and 64 hex digits`);
}

function mismatch(url: URL, expected: string, actual: string): TsbuildError {
  return new TsbuildError(
    'DIGEST_MISMATCH',
    `Cannot use what ${shownUrl(url)} gave: its checksum is sha256:${actual}, not sha256:${expected}`,
  );
}
