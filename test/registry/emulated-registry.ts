/**
 * A registry in this process that has what docker-registry does not: uploads that go on after a break, and the habits of others.
 * Where docker-registry can be asked, tests ask that one. Source: distribution-spec, and the registries' own documentation.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Habits {
  /** Forgets an upload whose request broke, as docker-registry does; by default what came is kept. */
  readonly forgets?: boolean;
  /** How a blob may come; all three by default. `pieces`: PATCH with Content-Range; `patch`: without. */
  readonly ways?: readonly ('put' | 'patch' | 'pieces')[];
  /** What is said to other ways; default 405. */
  readonly refusal?: { readonly status: number; readonly code?: string };
  readonly pieceMin?: number;
  /** Larger bodies get 413, before they are read. */
  readonly bodyMax?: number;
  readonly head?: false;
  /** By default as asked; `ignored`: opens an upload instead; a status refuses. */
  readonly mount?: 'ignored' | number;
  /** Of uploads; default `absolute`. `moving`: another one with each answer, and only the last is good. */
  readonly location?: 'absolute' | 'relative' | 'moving';
  /** Default `0-N`; `{}` stands for the last byte. */
  readonly range?: string | null;
  readonly putStatus?: number;
  readonly patchStatus?: number;
  /** No Location in the answer to the last PUT. */
  readonly silent?: boolean;
  readonly digestHeader?: false;
  /** Rests so many milliseconds after each 256 KiB of an upload. */
  readonly restMs?: number;
  /** On each answer. */
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Status of redirects of blobs to another host, with a signature that is good once. */
  readonly cdn?: number;
  /** Requests in a bucket, and how many come each second: with none left, 429. */
  readonly bucket?: { readonly size: number; readonly perSecond: number; readonly retryAfter?: string };
  /** Says 401 with this challenge to what it does not accept; `early`: without reading what comes, and closes. */
  readonly auth?: { challenge: string; readonly accepts: (header: string | undefined) => boolean; readonly early?: boolean };
}

export interface SeenByRegistry {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  bytes: number;
  status: number;
}

export interface EmulatedRegistry extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly seen: SeenByRegistry[];
  /** What reached the other host. */
  readonly cdnSeen: { readonly path: string; readonly headers: string }[];
  readonly blobs: Map<string, Buffer>;
}

interface StoredUpload {
  readonly repository: string;
  chunks: Buffer[];
  size: number;
  turn: number;
}

interface State {
  readonly habits: Habits;
  /** `repository digest` */
  readonly blobs: Map<string, Buffer>;
  readonly manifests: Map<string, { readonly type: string; readonly bytes: Buffer }>;
  readonly uploads: Map<string, StoredUpload>;
  readonly signatures: Set<string>;
  tokens: number;
  filledAt: number;
  cdnOrigin: string;
}

interface Exchange {
  readonly state: State;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly seen: SeenByRegistry;
}

export async function startEmulatedRegistry(habits: Habits = {}): Promise<EmulatedRegistry> {
  const state: State = {
    habits,
    blobs: new Map(),
    manifests: new Map(),
    uploads: new Map(),
    signatures: new Set(),
    tokens: habits.bucket?.size ?? 0,
    filledAt: performance.now(),
    cdnOrigin: '',
  };
  const seen: SeenByRegistry[] = [];
  const cdnSeen: EmulatedRegistry['cdnSeen'] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`);
    const entry = {
      method: request.method ?? '',
      path: request.url ?? '',
      authorization: request.headers.authorization,
      bytes: 0,
      status: 0,
    };
    seen.push(entry);
    request.on('error', () => {});
    response.on('error', () => {});
    serve({ state, request, response, url, seen: entry });
  });
  const cdn = createServer((request, response) => {
    cdnSeen.push({ path: request.url ?? '', headers: request.rawHeaders.join('\n') });
    serveFromCdn(state, request, response);
  });
  for (const each of [server, cdn]) await new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  state.cdnOrigin = `http://127.0.0.1:${(cdn.address() as AddressInfo).port}`;
  return {
    host: `127.0.0.1:${port}`,
    port,
    seen,
    cdnSeen,
    blobs: state.blobs,
    async [Symbol.asyncDispose]() {
      for (const each of [server, cdn]) {
        each.closeAllConnections();
        await new Promise((resolve) => each.close(resolve));
      }
    },
  };
}

function serve(exchange: Exchange): undefined {
  const { state, request, url } = exchange;
  const { auth, bucket } = state.habits;
  if (bucket !== undefined && !takeToken(state, bucket)) {
    return refuse(exchange, 429, 'TOOMANYREQUESTS', bucket.retryAfter === undefined ? {} : { 'retry-after': bucket.retryAfter });
  }
  if (auth?.accepts(request.headers.authorization) === false) {
    const { response } = exchange;
    if (auth.early === true) response.on('finish', () => setTimeout(() => request.destroy(), 2));
    return refuse(exchange, 401, 'UNAUTHORIZED', {
      'www-authenticate': auth.challenge,
      ...(auth.early === true ? { connection: 'close' } : {}),
    });
  }
  if (/^\/v2\/?$/.test(url.pathname)) return answer(exchange, 200, {}, '{}');
  const [, repository = '', kind = '', name = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/(.*)$/.exec(url.pathname) ?? [];
  if (kind === 'manifests') return serveManifest(exchange, repository, name);
  if (name.startsWith('uploads/')) return serveUpload(exchange, repository, name.slice('uploads/'.length));
  if (kind === 'blobs') return serveBlob(exchange, repository, name);
  return refuse(exchange, 404, 'NAME_UNKNOWN');
}

function takeToken(state: State, { size, perSecond }: NonNullable<Habits['bucket']>): boolean {
  const now = performance.now();
  state.tokens = Math.min(size, state.tokens + ((now - state.filledAt) * perSecond) / 1000);
  state.filledAt = now;
  if (state.tokens < 1) return false;
  state.tokens -= 1;
  return true;
}

function serveBlob(exchange: Exchange, repository: string, digest: string): undefined {
  const { state, request } = exchange;
  const bytes = state.blobs.get(`${repository} ${digest}`);
  if (request.method === 'HEAD' && state.habits.head === false) return refuse(exchange, 405, 'UNSUPPORTED');
  if (bytes === undefined) return refuse(exchange, 404, 'BLOB_UNKNOWN');
  if (request.method === 'GET' && state.habits.cdn !== undefined) {
    const signature = randomUUID();
    state.signatures.add(signature);
    const location = `${state.cdnOrigin}/${repository}/${digest}?X-Amz-Signature=${signature}`;
    return answer(exchange, state.habits.cdn, { location }, '');
  }
  sendRange(exchange, bytes, digestHeader(state, digest));
}

function serveFromCdn(state: State, request: IncomingMessage, response: ServerResponse): undefined {
  const url = new URL(request.url ?? '/', 'http://cdn');
  const [, repository = '', digest = ''] = /^\/(.+)\/([^/]+)$/.exec(url.pathname) ?? [];
  const bytes = state.blobs.get(`${repository} ${digest}`);
  if (bytes === undefined || !state.signatures.delete(url.searchParams.get('X-Amz-Signature') ?? '')) {
    response.writeHead(403).end();
    return;
  }
  sendRange({ state, request, response }, bytes, {});
}

type Answering = Pick<Exchange, 'state' | 'request' | 'response'> & { readonly seen?: SeenByRegistry };

function sendRange(exchange: Answering, bytes: Buffer, headers: Record<string, string>): undefined {
  const { request } = exchange;
  const etag = `"${createHash('md5').update(bytes).digest('hex')}"`;
  const [, from = '', to = ''] = /^bytes=([0-9]+)-([0-9]*)$/.exec(request.headers.range ?? '') ?? [];
  const fits = request.headers['if-range'] === undefined || request.headers['if-range'] === etag;
  const common = { ...headers, etag, 'content-type': 'application/octet-stream' };
  if (from === '' || !fits) return answer(exchange, 200, { ...common, 'content-length': String(bytes.length) }, bytes);
  const end = to === '' ? bytes.length : Math.min(bytes.length, Number(to) + 1);
  const part = bytes.subarray(Number(from), end);
  const range = `bytes ${from}-${end - 1}/${bytes.length}`;
  answer(exchange, 206, { ...common, 'content-length': String(part.length), 'content-range': range }, part);
}

function serveManifest(exchange: Exchange, repository: string, name: string): undefined {
  const { state, request } = exchange;
  if (request.method === 'PUT') {
    readBody(exchange, (bytes) => {
      const digest = digestOf(bytes);
      const manifest = { type: request.headers['content-type'] ?? '', bytes };
      const missing = blobsOf(bytes).filter(
        (blob) => !state.blobs.has(`${repository} ${blob}`) && !state.manifests.has(`${repository} ${blob}`),
      );
      if (missing.length > 0) return refuse(exchange, 400, 'MANIFEST_BLOB_UNKNOWN');
      for (const key of [name, digest]) state.manifests.set(`${repository} ${key}`, manifest);
      answer(exchange, 201, { ...digestHeader(state, digest), location: `/v2/${repository}/manifests/${digest}` }, '');
    });
    return;
  }
  const found = state.manifests.get(`${repository} ${name}`);
  if (found === undefined) return refuse(exchange, 404, 'MANIFEST_UNKNOWN');
  const headers = {
    'content-type': found.type,
    'content-length': String(found.bytes.length),
    ...digestHeader(state, digestOf(found.bytes)),
  };
  answer(exchange, 200, headers, request.method === 'HEAD' ? '' : found.bytes);
}

function blobsOf(bytes: Buffer): string[] {
  const { config, layers = [], manifests = [] } = JSON.parse(bytes.toString('utf8'));
  return [config, ...layers, ...manifests].filter((item) => item !== undefined).map(({ digest }) => digest);
}

function serveUpload(exchange: Exchange, repository: string, id: string): undefined {
  const { state, request, url } = exchange;
  if (request.method === 'POST') return startUpload(exchange, repository);
  const upload = state.uploads.get(id);
  const turn = url.searchParams.get('turn');
  if (upload === undefined || (turn !== null && Number(turn) !== upload.turn)) return refuse(exchange, 404, 'BLOB_UPLOAD_UNKNOWN');
  if (request.method === 'GET')
    return answer(exchange, 204, { ...locationHeader(exchange, id, upload), ...rangeHeader(state, upload) }, '');
  const range = /^([0-9]+)-([0-9]+)$/.exec(request.headers['content-range'] ?? '');
  const length = Number(request.headers['content-length'] ?? 0);
  const way = request.method === 'PUT' ? 'put' : range === null ? 'patch' : 'pieces';
  const { ways, refusal = { status: 405 }, bodyMax, pieceMin } = state.habits;
  if (length > 0 && ways !== undefined && !ways.includes(way)) return refuse(exchange, refusal.status, refusal.code ?? 'UNSUPPORTED');
  if (bodyMax !== undefined && length > bodyMax) return refuse(exchange, 413, 'SIZE_INVALID');
  if (range !== null && Number(range[1]) !== upload.size) return refuse(exchange, 416, 'BLOB_UPLOAD_INVALID', rangeHeader(state, upload));
  // A short piece is the last one: nothing may follow it.
  if (pieceMin !== undefined && length > 0 && upload.size % pieceMin !== 0) return refuse(exchange, 416, 'SIZE_INVALID');
  takeBytes(exchange, { repository, id, upload });
}

function startUpload(exchange: Exchange, repository: string): undefined {
  const { state, url } = exchange;
  const { mount, pieceMin } = state.habits;
  const digest = url.searchParams.get('mount');
  const found = digest === null ? undefined : state.blobs.get(`${url.searchParams.get('from')} ${digest}`);
  if (digest !== null && typeof mount === 'number') return refuse(exchange, mount, 'UNSUPPORTED');
  if (digest !== null && found !== undefined && mount === undefined) {
    state.blobs.set(`${repository} ${digest}`, found);
    return answer(exchange, 201, { ...digestHeader(state, digest), location: `/v2/${repository}/blobs/${digest}` }, '');
  }
  const id = randomUUID();
  const upload: StoredUpload = { repository, chunks: [], size: 0, turn: 0 };
  state.uploads.set(id, upload);
  const least = pieceMin === undefined ? {} : { 'oci-chunk-min-length': String(pieceMin) };
  answer(exchange, 202, { ...locationHeader(exchange, id, upload), ...least, range: '0-0', 'docker-upload-uuid': id }, '');
}

interface Taking {
  readonly repository: string;
  readonly id: string;
  readonly upload: StoredUpload;
}

function takeBytes(exchange: Exchange, { repository, id, upload }: Taking): undefined {
  const { state, request, url, seen } = exchange;
  request.on('data', (chunk: Buffer) => {
    upload.chunks.push(chunk);
    upload.size += chunk.length;
    const isDue = seen.bytes >> 18 !== (seen.bytes + chunk.length) >> 18;
    seen.bytes += chunk.length;
    if (!isDue || state.habits.restMs === undefined) return;
    request.pause();
    setTimeout(() => request.resume(), state.habits.restMs).unref();
  });
  request.on('close', () => request.complete || state.habits.forgets !== true || state.uploads.delete(id));
  request.on('end', () => {
    if (request.method === 'PATCH') {
      const headers = { ...locationHeader(exchange, id, upload), ...rangeHeader(state, upload) };
      return answer(exchange, state.habits.patchStatus ?? 202, headers, '');
    }
    const digest = url.searchParams.get('digest') ?? '';
    const bytes = Buffer.concat(upload.chunks);
    state.uploads.delete(id);
    if (digestOf(bytes) !== digest) return refuse(exchange, 400, 'DIGEST_INVALID');
    state.blobs.set(`${repository} ${digest}`, bytes);
    const location = state.habits.silent === true ? {} : { location: `/v2/${repository}/blobs/${digest}` };
    answer(exchange, state.habits.putStatus ?? 201, { ...location, ...digestHeader(state, digest) }, '');
  });
}

function locationHeader({ state, request }: Exchange, id: string, upload: StoredUpload): Record<string, string> {
  const { location = 'absolute' } = state.habits;
  const path = `/v2/${upload.repository}/blobs/uploads/${id}`;
  if (location === 'moving') upload.turn += 1;
  const query = location === 'moving' ? `?turn=${upload.turn}` : '?state=a%2Bb%3D';
  return { location: location === 'relative' ? path + query : `http://${request.headers.host}${path}${query}` };
}

function rangeHeader({ habits }: State, { size }: StoredUpload): Record<string, string> {
  if (habits.range === null) return {};
  return { range: (habits.range ?? '0-{}').replace('{}', String(Math.max(0, size - 1))) };
}

function digestHeader({ habits }: State, digest: string): Record<string, string> {
  return habits.digestHeader === false ? {} : { 'docker-content-digest': digest };
}

function refuse(exchange: Exchange, status: number, code: string, headers: Record<string, string> = {}): undefined {
  const body = JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] });
  answer(exchange, status, { ...headers, 'content-type': 'application/json' }, exchange.request.method === 'HEAD' ? '' : body);
}

function answer(exchange: Answering, status: number, headers: Record<string, string>, body: string | Buffer): undefined {
  const { state, request, response, seen } = exchange;
  if (seen !== undefined) seen.status = status;
  response.writeHead(status, { ...state.habits.headers, ...headers }).end(request.method === 'HEAD' ? '' : body);
  if (status !== 401 || state.habits.auth?.early !== true) request.resume();
}

function readBody({ request }: Exchange, done: (bytes: Buffer) => void): undefined {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => done(Buffer.concat(chunks)));
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
