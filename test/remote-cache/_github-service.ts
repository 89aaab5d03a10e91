/**
 * A small server of both versions of the cache service of GitHub Actions, after their public clients (actions/toolkit packages/cache, in its
 * releases 3 and 4) and Azure's documentation of block blobs. There is no real one outside of GitHub.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface GithubServer extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  readonly entries: Map<string, Buffer>;
}

interface Upload {
  readonly name: string;
  readonly blocks: Map<string, Buffer>;
  content: Buffer | undefined;
}

export async function startGithubService(): Promise<GithubServer> {
  const token = randomBytes(16).toString('hex');
  const service = new Service(token);
  const server = createServer((request, response) => {
    service.answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  service.url = url;
  return {
    ...{ url, token, entries: service.entries },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

class Service {
  url = '';
  /** Finished ones, the oldest first, by version and key. */
  readonly entries = new Map<string, Buffer>();
  readonly #uploads = new Map<string, Upload>();
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<unknown> {
    const url = new URL(request.url ?? '/', this.url);
    const body = await bodyOf(request);
    if (url.pathname.startsWith('/signed/')) return this.#signed(request, response, { url, body });
    if (request.headers.authorization !== `Bearer ${this.#token}`) return response.writeHead(401).end();
    if (url.pathname.startsWith('/twirp/')) return this.#twirp(request, response, body);
    return this.#first(request, response, { url, body });
  }

  /** Without a token: the address is the permission. */
  #signed(request: IncomingMessage, response: ServerResponse, { url, body }: { url: URL; body: Buffer }): unknown {
    if (url.searchParams.get('sig') !== 'a+b/c=' || request.headers.authorization !== undefined) return response.writeHead(403).end();
    const name = decodeURIComponent(url.pathname.slice('/signed/'.length));
    if (request.method === 'GET') {
      const found = this.entries.get(name);
      return found === undefined ? response.writeHead(404).end() : response.writeHead(200).end(found);
    }
    const upload = this.#uploads.get(name);
    const comp = url.searchParams.get('comp');
    if (upload === undefined || request.method !== 'PUT') return response.writeHead(404).end();
    if (comp === 'block') upload.blocks.set(url.searchParams.get('blockid') ?? '', body);
    else if (comp === 'blocklist') {
      const ids = [...body.toString().matchAll(/<Latest>([^<]+)<\/Latest>/g)].map(([, id = '']) => id);
      if (ids.some((id) => !upload.blocks.has(id))) return response.writeHead(400).end();
      upload.content = Buffer.concat(ids.map((id) => upload.blocks.get(id) ?? Buffer.alloc(0)));
    } else return response.writeHead(400).end();
    return response.writeHead(201).end();
  }

  #twirp(request: IncomingMessage, response: ServerResponse, body: Buffer): unknown {
    const method = request.url?.split('/').at(-1);
    const message = JSON.parse(body.toString()) as { key: string; version: string; sizeBytes?: string; restoreKeys?: string[] };
    const name = `${message.version} ${message.key}`;
    const json = (status: number, value: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const address = (to: string): string => `${this.url}signed/${encodeURIComponent(to)}?sig=${encodeURIComponent('a+b/c=')}`;
    switch (method) {
      case 'CreateCacheEntry':
        if (this.entries.has(name)) return json(409, { code: 'already_exists', msg: 'cache entry exists' });
        this.#uploads.set(name, { name, blocks: new Map(), content: undefined });
        return json(200, { ok: true, signed_upload_url: address(name) });
      case 'FinalizeCacheEntryUpload': {
        const content = this.#uploads.get(name)?.content;
        if (content === undefined || String(content.length) !== message.sizeBytes)
          return json(400, { code: 'invalid_argument', msg: 'size' });
        this.entries.set(name, content);
        return json(200, { ok: true, entry_id: '1' });
      }
      case 'GetCacheEntryDownloadURL': {
        const found = this.#find(message.version, [message.key, ...(message.restoreKeys ?? [])]);
        return json(
          200,
          found === undefined
            ? { ok: false }
            : { ok: true, matched_key: found, signed_download_url: address(`${message.version} ${found}`) },
        );
      }
      default:
        return json(404, { code: 'bad_route' });
    }
  }

  #first(request: IncomingMessage, response: ServerResponse, { url, body }: { url: URL; body: Buffer }): unknown {
    const path = url.pathname.replace('/_apis/artifactcache/', '');
    const json = (status: number, value: object) => response.writeHead(status).end(JSON.stringify(value));
    if (request.method === 'GET' && path === 'cache') {
      const version = url.searchParams.get('version') ?? '';
      const found = this.#find(version, (url.searchParams.get('keys') ?? '').split(','), 'prefix');
      if (found === undefined) return response.writeHead(204).end();
      const address = `${this.url}signed/${encodeURIComponent(`${version} ${found}`)}?sig=${encodeURIComponent('a+b/c=')}`;
      return json(200, { archiveLocation: address, cacheKey: found });
    }
    if (request.method === 'POST' && path === 'caches') {
      const { key, version } = JSON.parse(body.toString()) as { key: string; version: string };
      const name = `${version} ${key}`;
      if (this.entries.has(name)) return response.writeHead(409).end();
      const id = this.#uploads.size + 1;
      this.#uploads.set(String(id), { name, blocks: new Map(), content: Buffer.alloc(0) });
      return json(201, { cacheId: id });
    }
    const upload = this.#uploads.get(path.replace('caches/', ''));
    if (upload === undefined) return response.writeHead(404).end();
    if (request.method === 'PATCH') {
      const at = /^bytes (\d+)-(\d+)\/\*$/.exec(request.headers['content-range'] ?? '');
      if (Number(at?.[1]) !== upload.content?.length || Number(at?.[2]) + 1 - Number(at?.[1]) !== body.length)
        return response.writeHead(400).end();
      upload.content = Buffer.concat([upload.content ?? Buffer.alloc(0), body]);
      return response.writeHead(204).end();
    }
    const { size } = JSON.parse(body.toString()) as { size: number };
    if (size !== upload.content?.length) return response.writeHead(400).end();
    this.entries.set(upload.name, upload.content);
    return response.writeHead(204).end();
  }

  /** The first name exactly, else the newest that begins as one does. */
  #find(version: string, keys: readonly string[], first: 'exact' | 'prefix' = 'exact'): string | undefined {
    const names = [...this.entries.keys()].filter((name) => name.startsWith(`${version} `)).map((name) => name.slice(version.length + 1));
    const [exact = ''] = keys;
    if (names.includes(exact)) return exact;
    for (const key of first === 'exact' ? keys.slice(1) : keys) {
      const found = names.reverse().find((name) => name.startsWith(key));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
