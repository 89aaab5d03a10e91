/** A proxy before a registry that breaks what a test asks it to break, and remembers what it was sent. */
import { createServer, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Fault =
  /** Answers by itself once the request is read; a generator body may never end. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Headers;
      readonly body?: string | Buffer | (() => Iterable<Buffer>);
    }
  /** Resets the connection after so many bytes of the request's body; 0 = at once. */
  | { readonly kind: 'cut-request'; readonly bytes: number }
  /** The same, when these bytes have gone on to the registry; `end` closes cleanly. */
  | { readonly kind: 'cut-upload'; readonly bytes: number; readonly end?: 'reset' | 'close' }
  /** Resets the connection when the registry has answered. */
  | { readonly kind: 'lose-answer' }
  /** Resets the connection after so many bytes of the answer's body. */
  | { readonly kind: 'cut-response'; readonly bytes: number }
  /** Ends the answer cleanly, without Content-Length, after so many bytes. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** Sends headers and so many bytes, then nothing; -1 = not even headers. */
  | { readonly kind: 'stall'; readonly bytes: number }
  /** One byte of the answer at a time. */
  | { readonly kind: 'drip'; readonly everyMs: number }
  /** Changes the registry's answer. */
  | {
      readonly kind: 'edit';
      readonly status?: number;
      readonly headers?: (headers: Headers) => Headers;
      readonly body?: (body: Buffer) => Buffer;
    };

type Headers = Record<string, string | string[]>;

export interface FaultRule {
  /** One, or several with `|` between. */
  readonly method?: string;
  readonly path?: RegExp;
  /** Only requests that bring bytes. */
  readonly body?: true;
  /** How often; default once. */
  readonly times?: number;
  readonly fault: Fault;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  bodyBytes: number;
}

export interface FaultProxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly requests: SeenRequest[];
  break(rule: FaultRule): void;
  /** Forgets rules and requests. */
  reset(): void;
}

/** `targetPort`: the registry's, on 127.0.0.1; without one, requests that no rule matches get 404. */
export async function startFaultProxy(targetPort?: number): Promise<FaultProxy> {
  const rules: { rule: FaultRule; left: number }[] = [];
  const requests: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, bodyBytes: 0 };
    requests.push(seen);
    request.on('data', (chunk: Buffer) => {
      seen.bodyBytes += chunk.length;
    });
    request.on('error', () => {});
    response.on('error', () => {});
    const found = rules.find(({ rule, left }) => left > 0 && matches(rule, seen));
    if (found !== undefined) found.left -= 1;
    handle(found?.rule.fault ?? { kind: 'edit' }, { request, response, targetPort });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    port,
    requests,
    break: (rule) => void rules.push({ rule, left: rule.times ?? 1 }),
    reset() {
      rules.length = 0;
      requests.length = 0;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function matches({ method, path, body }: FaultRule, seen: SeenRequest): boolean {
  if (body === true && Number(seen.headers['content-length'] ?? 0) === 0) return false;
  return (method === undefined || method.split('|').includes(seen.method)) && (path === undefined || path.test(seen.path));
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly targetPort: number | undefined;
}

function handle(fault: Fault, exchange: Exchange): void {
  const { request, response, targetPort } = exchange;
  switch (fault.kind) {
    case 'answer':
      request.on('end', () => answer(fault, response)).resume();
      return;
    case 'cut-request':
      cutRequest(fault.bytes, request);
      return;
    case 'cut-upload':
      cutUpload(fault, exchange);
      return;
    case 'lose-answer':
      forward(exchange, () => request.socket.resetAndDestroy());
      return;
    case 'stall':
      if (fault.bytes < 0) request.resume();
      else forward(exchange, (from) => stallAfter(fault.bytes, from, response));
      return;
    case 'cut-response':
      forward(exchange, (from) => cutAfter(fault.bytes, from, response));
      return;
    case 'drip':
      forward(exchange, (from) => drip(fault.everyMs, from, response));
      return;
    case 'truncate':
      forward(exchange, (from) => truncateAfter(fault.bytes, from, response));
      return;
    case 'edit':
      if (targetPort === undefined) request.on('end', () => response.writeHead(404).end()).resume();
      else forward(exchange, (from) => edit(fault, from, response));
      return;
  }
}

function answer({ status, headers = {}, body = '' }: Extract<Fault, { kind: 'answer' }>, response: ServerResponse): void {
  response.writeHead(status, headers);
  if (typeof body !== 'function') {
    response.end(body);
    return;
  }
  const chunks = body()[Symbol.iterator]();
  const pump = (): void => {
    for (;;) {
      const { done, value } = chunks.next();
      if (done === true) response.end();
      if (done === true || response.destroyed) return;
      if (!response.write(value)) {
        response.once('drain', pump);
        return;
      }
    }
  };
  pump();
}

function cutRequest(bytes: number, request: IncomingMessage): void {
  let seen = 0;
  const cut = (): void => void request.socket.resetAndDestroy();
  if (bytes === 0) cut();
  request.on('data', (chunk: Buffer) => {
    seen += chunk.length;
    if (seen >= bytes) cut();
  });
  request.on('end', cut);
}

function cutUpload({ bytes, end = 'reset' }: Extract<Fault, { kind: 'cut-upload' }>, { request, targetPort }: Exchange): void {
  const { method, url: path, headers } = request;
  const outgoing = httpRequest({ host: '127.0.0.1', port: targetPort, method, path, headers, agent: false });
  outgoing.on('error', () => {});
  let left = bytes;
  // What is read counts as sent: so nothing is read that does not go on.
  request.pause();
  const cut = (): undefined => {
    request.pause();
    outgoing.flushHeaders();
    // The registry sees the end of what came, and then its client.
    outgoing.socket?.end();
    setTimeout(() => {
      if (end === 'reset') request.socket.resetAndDestroy();
      else request.socket.destroy();
      outgoing.destroy();
    }, 5);
  };
  outgoing.once('socket', (socket) => {
    const begin = (): undefined => {
      if (left === 0) return cut();
      request.on('data', (chunk: Buffer) => {
        const part = chunk.subarray(0, left);
        left -= part.length;
        if (left === 0) request.pause();
        outgoing.write(part, () => left === 0 && cut());
      });
      // A body with fewer bytes breaks at its end.
      request.once('end', () => left > 0 && cut());
      request.resume();
      return undefined;
    };
    if (socket.connecting) socket.once('connect', begin);
    else begin();
  });
}

function forward({ request, response, targetPort }: Exchange, deliver: (from: IncomingMessage) => void): void {
  const { method, url: path, headers } = request;
  const outgoing = httpRequest({ host: '127.0.0.1', port: targetPort, method, path, headers, agent: false }, deliver);
  outgoing.on('error', () => response.destroy());
  request.on('close', () => request.complete || outgoing.destroy());
  request.pipe(outgoing);
}

function plainHeaders(from: IncomingMessage): Headers {
  return Object.fromEntries(Object.entries(from.headers).filter((entry): entry is [string, string | string[]] => entry[1] !== undefined));
}

function cutAfter(bytes: number, from: IncomingMessage, response: ServerResponse): void {
  response.writeHead(from.statusCode ?? 500, plainHeaders(from));
  response.flushHeaders();
  limited(bytes, from, response, () => setTimeout(() => response.socket?.resetAndDestroy(), 20));
}

function stallAfter(bytes: number, from: IncomingMessage, response: ServerResponse): void {
  response.writeHead(from.statusCode ?? 500, plainHeaders(from));
  response.flushHeaders();
  limited(bytes, from, response, () => {});
}

function drip(everyMs: number, from: IncomingMessage, response: ServerResponse): void {
  response.writeHead(from.statusCode ?? 500, plainHeaders(from));
  const timer = setInterval(() => response.write('x'), everyMs);
  response.on('close', () => clearInterval(timer));
  from.resume();
}

function truncateAfter(bytes: number, from: IncomingMessage, response: ServerResponse): void {
  const { 'content-length': _, ...headers } = plainHeaders(from);
  response.writeHead(from.statusCode ?? 500, headers);
  limited(bytes, from, response, () => response.end());
}

function limited(bytes: number, from: IncomingMessage, response: ServerResponse, finish: () => void): void {
  let left = bytes;
  let finished = false;
  const end = (): void => {
    if (!finished) finish();
    finished = true;
  };
  if (left === 0) end();
  from.on('data', (chunk: Buffer) => {
    if (left > 0) response.write(chunk.subarray(0, left));
    left -= chunk.length;
    if (left <= 0) end();
  });
  from.on('end', end);
}

function edit({ status, headers, body }: Extract<Fault, { kind: 'edit' }>, from: IncomingMessage, response: ServerResponse): void {
  const sent = plainHeaders(from);
  const code = status ?? from.statusCode ?? 500;
  if (body === undefined) {
    response.writeHead(code, headers?.(sent) ?? sent);
    from.pipe(response);
    return;
  }
  const chunks: Buffer[] = [];
  from.on('data', (chunk: Buffer) => chunks.push(chunk));
  from.on('end', () => {
    const bytes = body(Buffer.concat(chunks));
    const fitting = { ...sent, 'content-length': String(bytes.length) };
    response.writeHead(code, headers?.(fitting) ?? fitting).end(bytes);
  });
}
