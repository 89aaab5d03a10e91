/**
 * The cache service of GitHub Actions in its first version, which GitHub itself has switched off, and servers of others still speak.
 * Source: actions/toolkit packages/cache before version 4 (`_apis/artifactcache`).
 */
import { inPieces, membersOf } from './bytes.ts';
import type { GithubAccess, GithubService } from './github-carrier.ts';
import { failure, type HttpAnswer } from './http-exchange.ts';

const CHUNK_BYTES = 32 << 20;
const ACTION = 'use the cache service of GitHub Actions';

export function firstService({ http, url, token, version }: GithubAccess): GithubService {
  const headers = { accept: 'application/json;api-version=6.0-preview.1', authorization: `Bearer ${token}` };
  const send = async (
    method: 'GET' | 'POST' | 'PATCH',
    path: string,
    body?: Buffer,
    more: Readonly<Record<string, string>> = {},
  ): Promise<HttpAnswer> =>
    await http.send({
      ...{ method, url: new URL(`_apis/artifactcache/${path}`, url), action: ACTION },
      headers: {
        ...headers,
        ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(body.length) }),
        ...more,
      },
      ...(body === undefined ? {} : { body: () => body }),
    });
  const refused = (answer: HttpAnswer) => {
    answer.discard();
    return failure({ action: ACTION, url }, `the server answers ${answer.status}`);
  };
  const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  return {
    async find(key, match) {
      const answer = await send('GET', `cache?keys=${encodeURIComponent(key)}&version=${version}`);
      if (answer.status === 204 || answer.status === 404) {
        answer.discard();
        return undefined;
      }
      if (answer.status !== 200) throw refused(answer);
      const { archiveLocation, cacheKey } = membersOf(await answer.text());
      // The service matches beginnings by itself.
      const isWanted = match === 'exact' ? cacheKey === key : String(cacheKey).startsWith(key);
      return isWanted && typeof archiveLocation === 'string' && URL.canParse(archiveLocation) ? new URL(archiveLocation) : undefined;
    },
    async write(key, { size, open }) {
      const reserved = await send('POST', 'caches', json({ key, version, cacheSize: size }));
      if (reserved.status === 409) {
        reserved.discard();
        return false;
      }
      if (reserved.status !== 201 && reserved.status !== 200) throw refused(reserved);
      const id = membersOf(await reserved.text())['cacheId'];
      if (!Number.isSafeInteger(id)) throw failure({ action: ACTION, url }, 'the server gives no id');
      let at = 0;
      for await (const chunk of inPieces(open(), CHUNK_BYTES)) {
        const range = { 'content-range': `bytes ${at}-${at + chunk.length - 1}/*`, 'content-type': 'application/octet-stream' };
        const answer = await send('PATCH', `caches/${String(id)}`, chunk, range);
        if (answer.status !== 204 && answer.status !== 200) throw refused(answer);
        answer.discard();
        at += chunk.length;
      }
      const end = await send('POST', `caches/${String(id)}`, json({ size }));
      if (end.status !== 204 && end.status !== 200) throw refused(end);
      end.discard();
      return true;
    },
  };
}
