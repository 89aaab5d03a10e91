/** Requests to services that keep caches: no redirects, no content coding, a second try where the first one says nothing of the request. Loads undici. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { TsbuildError } from '../errors.ts';
import { type ChosenProxy, proxyFor } from '../http/proxy.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Called for each try. */
  readonly body?: (() => Buffer | AsyncIterable<Buffer>) | undefined;
  /** What is being done, for messages; nothing secret. */
  readonly action: string;
}

export interface HttpAnswer {
  readonly status: number;
  header(name: string): string | undefined;
  /** Throws CACHE_FAILED where the connection breaks. */
  readonly body: AsyncIterable<Buffer>;
  /** At most 1 MiB of it. */
  text(): Promise<string>;
  discard(): void;
}

export interface HttpExchange {
  /** Any status but those that ask for another try. Throws CACHE_FAILED. */
  send(request: HttpRequest): Promise<HttpAnswer>;
  close(): Promise<void>;
}

export interface HttpOptions {
  readonly signal: AbortSignal;
  /** For one exchange with its body; by default ten minutes. */
  readonly timeoutMs?: number | undefined;
}

const TRIES = 4;
const WAIT_MS = 250;
const IDLE_MS = 60_000;
const CONNECT_MS = 20_000;
const TEXT_MAX = 1 << 20;
const AGAIN = new Set([408, 425, 429, 500, 502, 503, 504]);

export function openHttpExchange({ signal, timeoutMs = 600_000 }: HttpOptions): HttpExchange {
  const dispatchers = new Map<string, Promise<Dispatcher>>();
  return {
    async send(request) {
      const opened = dispatchers.get(request.url.origin) ?? openDispatcher(proxyFor(request.url));
      dispatchers.set(request.url.origin, opened);
      const dispatcher = await opened;
      for (let attempt = 1; ; attempt++) {
        const end = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
        const answer = await exchange(dispatcher, request, end).catch((error: unknown) => {
          signal.throwIfAborted();
          return failure(request, error);
        });
        const isLast = attempt === TRIES;
        if (answer instanceof TsbuildError) {
          if (isLast) throw answer;
        } else if (isLast || !AGAIN.has(answer.status)) return answer;
        else answer.discard();
        await sleep(WAIT_MS * 2 ** attempt, undefined, { signal });
      }
    },
    async close() {
      for (const dispatcher of dispatchers.values()) await (await dispatcher).destroy();
    },
  };
}

async function openDispatcher(proxy: ChosenProxy | undefined): Promise<Dispatcher> {
  // `default`: once bundled, a CommonJS module has no other names.
  const { Agent, ProxyAgent } = (await import('undici')).default;
  const tls = { rejectUnauthorized: true, minVersion: 'TLSv1.2' as const };
  const settings = {
    ...{ connections: 16, headersTimeout: IDLE_MS, bodyTimeout: IDLE_MS, maxHeaderSize: 64 * 1024 },
    connect: { ...tls, timeout: CONNECT_MS, autoSelectFamily: true },
  };
  if (proxy === undefined) return new Agent(settings);
  const token = proxy.authorization === undefined ? {} : { token: proxy.authorization };
  return new ProxyAgent({ ...settings, ...token, uri: proxy.url.href, requestTls: tls, proxyTls: { ...tls, timeout: CONNECT_MS } });
}

async function exchange(dispatcher: Dispatcher, request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  const { method, url, headers } = request;
  const content = request.body?.();
  const response = await dispatcher.request({
    ...{ origin: url.origin, path: url.pathname + url.search, method, signal },
    headers: { 'user-agent': 'tsbuild', ...headers },
    ...(content === undefined ? {} : { body: content as Buffer }),
  });
  const { statusCode, body } = response;
  // A body that nobody reads any more may fail after the fact.
  body.on('error', () => {});
  const read = readBody(body, request);
  return {
    status: statusCode,
    header(name) {
      const value = Object.hasOwn(response.headers, name) ? response.headers[name] : undefined;
      return typeof value === 'string' ? value : value?.[0];
    },
    body: read,
    async text() {
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of read) {
        size += chunk.length;
        if (size > TEXT_MAX) throw failure(request, new Error('the answer is too long'));
        chunks.push(chunk);
      }
      return Buffer.concat(chunks).toString('utf8');
    },
    discard: () => void body.destroy(),
  };
}

async function* readBody(body: AsyncIterable<Buffer>, request: HttpRequest): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw failure(request, error);
  }
}

/** A query may hold a signature: only the host is named. */
export function failure({ action, url }: Pick<HttpRequest, 'action' | 'url'>, reason: unknown): TsbuildError {
  if (reason instanceof TsbuildError) return reason;
  const text = reason instanceof Error ? ((reason as NodeJS.ErrnoException).code ?? reason.message) : String(reason);
  return new TsbuildError('CACHE_FAILED', `Cannot ${action} at ${url.host}: ${text}`, {
    cause: reason instanceof Error ? reason : undefined,
  });
}
