/**
 * The cache service of GitHub Actions in its second version: Twirp with JSON, and signed addresses of Azure block blobs.
 * Sources: actions/toolkit packages/cache (results/api/v1/cache.proto); Twirp's wire protocol v7; Azure's "Put Block" and "Put Block List".
 */
import { inPieces, membersOf } from './bytes.ts';
import type { GithubAccess, GithubService } from './github-carrier.ts';
import { failure } from './http-exchange.ts';

const SERVICE = 'twirp/github.actions.results.api.v1.CacheService/';
/** A blob has at most 50,000 blocks. */
const BLOCK_BYTES = 16 << 20;
const ACTION = 'use the cache service of GitHub Actions';

type Answer = Readonly<Record<string, unknown>>;

export function secondService({ http, url, token, version }: GithubAccess): GithubService {
  const call = async (method: string, message: object): Promise<{ readonly status: number; readonly body: Answer }> => {
    const answer = await http.send({
      ...{ method: 'POST', url: new URL(SERVICE + method, url), action: ACTION },
      headers: { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${token}` },
      body: () => Buffer.from(JSON.stringify({ ...message, version })),
    });
    return { status: answer.status, body: membersOf(await answer.text()) };
  };
  const refused = (status: number, { code, msg }: Answer) =>
    failure(
      { action: ACTION, url },
      `the server answers ${status} ${String(code ?? '').slice(0, 50)} ${String(msg ?? '').slice(0, 200)}`.trim(),
    );
  return {
    async find(key, match) {
      // The service wants a whole name first, which here nothing has.
      const message = match === 'exact' ? { key, restoreKeys: [] } : { key, restoreKeys: [key] };
      const { status, body } = await call('GetCacheEntryDownloadURL', message);
      if (status === 404) return undefined;
      if (status !== 200) throw refused(status, body);
      const found = String(body['matchedKey'] ?? body['matched_key'] ?? key);
      const address = body['signedDownloadUrl'] ?? body['signed_download_url'];
      const isWanted = match === 'exact' ? found === key : found.startsWith(key);
      return body['ok'] === true && isWanted && typeof address === 'string' && URL.canParse(address) ? new URL(address) : undefined;
    },
    async write(key, { size, open }) {
      const { status, body } = await call('CreateCacheEntry', { key });
      if (status === 409 || body['code'] === 'already_exists') return false;
      const address = body['signedUploadUrl'] ?? body['signed_upload_url'];
      if (status !== 200 || body['ok'] !== true || typeof address !== 'string' || !URL.canParse(address)) throw refused(status, body);
      await upload(http, new URL(address), open());
      const end = await call('FinalizeCacheEntryUpload', { key, sizeBytes: String(size) });
      if (end.status !== 200 || end.body['ok'] !== true) throw refused(end.status, end.body);
      return true;
    },
  };
}

/** Block by block, so that a break costs one of them; the list makes them a blob. */
async function upload(http: GithubAccess['http'], url: URL, bytes: AsyncIterable<Buffer>): Promise<void> {
  const ids: string[] = [];
  for await (const block of inPieces(bytes, BLOCK_BYTES)) {
    const id = Buffer.from(String(ids.length).padStart(8, '0')).toString('base64');
    await put(http, withQuery(url, { comp: 'block', blockid: id }), block);
    ids.push(id);
  }
  const list = `<?xml version="1.0" encoding="utf-8"?><BlockList>${ids.map((id) => `<Latest>${id}</Latest>`).join('')}</BlockList>`;
  await put(http, withQuery(url, { comp: 'blocklist' }), Buffer.from(list));
}

async function put(http: GithubAccess['http'], url: URL, bytes: Buffer): Promise<void> {
  const action = 'send an entry to the cache service';
  const headers = { 'content-length': String(bytes.length), 'content-type': 'application/octet-stream', 'x-ms-version': '2020-04-08' };
  const answer = await http.send({ method: 'PUT', url, headers, action, body: () => bytes });
  answer.discard();
  if (answer.status !== 201 && answer.status !== 200) throw failure({ action, url }, `the server answers ${answer.status}`);
}

/** The signature stays as it was written. */
function withQuery(url: URL, more: Readonly<Record<string, string>>): URL {
  const query = Object.entries(more).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return new URL(`${url.href}${url.search === '' ? '?' : '&'}${query.join('&')}`);
}
