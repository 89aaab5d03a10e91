/**
 * A cache in the cache service of GitHub Actions. Entries never change: a blob is one by its digest, and each new manifest is an entry of its own,
 * found by what their names begin with, the newest first. Both versions of the service differ only in how an entry is asked for and sent.
 */
import { createHash, randomBytes } from 'node:crypto';
import { TsbuildError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { MANIFEST_BYTES_MAX } from '../oci/parse-manifest.ts';
import { once } from './bytes.ts';
import type { GithubPlace } from './cache-place.ts';
import type { CacheCarrier } from './carrier.ts';
import { firstService } from './github-service-v1.ts';
import { secondService } from './github-service-v2.ts';
import { failure, type HttpExchange, openHttpExchange } from './http-exchange.ts';

/** One entry of the service, whatever its version. */
export interface GithubService {
  /** Where an entry is, of this name or the newest that begins so; undefined where there is none. */
  find(key: string, match: 'exact' | 'prefix'): Promise<URL | undefined>;
  /** false: somebody has made it before. */
  write(key: string, object: { readonly size: number; open(): AsyncIterable<Buffer> }): Promise<boolean>;
}

export interface GithubAccess {
  readonly http: HttpExchange;
  readonly url: URL;
  readonly token: string;
  /** Parts entries of different makers: the service wants it with each name. */
  readonly version: string;
}

const VERSION = createHash('sha256').update('tsbuild-cache-1').digest('hex');
const SCOPE = /^[^,\s]{1,200}$/;

/** Throws CACHE_FAILED outside of GitHub Actions, where nothing says where the service is. */
export function openGithubCarrier(place: GithubPlace, signal: AbortSignal): CacheCarrier {
  const { scope = 'buildkit', timeoutMs } = place;
  if (!SCOPE.test(scope)) throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(scope.slice(0, 100))} as the scope of a cache`);
  const http = openHttpExchange({ signal, timeoutMs });
  const service = openService(place, http);
  const blobKey = ({ digest }: Pick<Descriptor, 'digest'>): string => `tsbuild-blob-1-${digest}`;
  const indexKey = `tsbuild-index-1-${scope}#`;
  return {
    async readManifests() {
      const url = await service.find(indexKey, 'prefix');
      return url === undefined ? [] : [await whole(http, url)];
    },
    async *readBlob(blob) {
      const url = await service.find(blobKey(blob), 'exact');
      if (url === undefined)
        throw new TsbuildError('CACHE_FAILED', `Cannot fetch blob ${blob.digest}: the service does not have it any more`);
      yield* download(http, url, blob.size);
    },
    hasBlob: async (blob) => (await service.find(blobKey(blob), 'exact')) !== undefined,
    writeBlob: async (blob, open) => ((await service.write(blobKey(blob), { size: blob.size, open })) ? 'pushed' : 'exists'),
    async commit({ bytes }) {
      // In order of time; two at once are both whole, and the later one counts.
      const key = `${indexKey}${String(Date.now()).padStart(15, '0')}-${randomBytes(4).toString('hex')}`;
      await service.write(key, { size: bytes.length, open: () => once(bytes) });
    },
    close: http.close,
  };
}

function openService({ url, urlV2, token, version }: GithubPlace, http: HttpExchange): GithubService {
  const { env } = process;
  const secret = token ?? env['ACTIONS_RUNTIME_TOKEN'];
  const first = url ?? env['ACTIONS_CACHE_URL'];
  const second = urlV2 ?? env['ACTIONS_RESULTS_URL'];
  const isSecond =
    version === undefined ? url === undefined && (env['ACTIONS_CACHE_SERVICE_V2'] !== undefined || first === undefined) : version === 2;
  const address = isSecond ? second : first;
  if (secret === undefined || secret === '' || address === undefined || !URL.canParse(address)) {
    throw new TsbuildError('CACHE_FAILED', 'Cannot use the cache service of GitHub Actions: its address and token are not known', {
      hint: 'Steps of actions have ACTIONS_RESULTS_URL and ACTIONS_RUNTIME_TOKEN; a `run` step has to be given them.',
    });
  }
  const access = { http, url: new URL(address.endsWith('/') ? address : `${address}/`), token: secret, version: VERSION };
  return isSecond ? secondService(access) : firstService(access);
}

async function whole(http: HttpExchange, url: URL): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of download(http, url, MANIFEST_BYTES_MAX)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The address is signed: no token goes there. */
async function* download(http: HttpExchange, url: URL, maxBytes: number): AsyncGenerator<Buffer> {
  const action = 'fetch an entry of the cache service';
  const answer = await http.send({ method: 'GET', url, headers: {}, action });
  if (answer.status !== 200) {
    answer.discard();
    throw failure({ action, url }, `the server answers ${answer.status}`);
  }
  let size = 0;
  for await (const chunk of answer.body) {
    size += chunk.length;
    if (size > maxBytes)
      throw new TsbuildError('DIGEST_MISMATCH', `Cannot accept an entry of the cache service: it has more than ${maxBytes} bytes`);
    yield chunk;
  }
}
