/** A token server for docker-registry: RS256 tokens for whoever may have them. */
import { randomUUID, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { makeCertificate } from './_certificate.ts';

export interface TokenServer extends AsyncDisposable {
  readonly realm: string;
  readonly certificate: string;
  readonly requests: { method: string; url: URL; authorization: string | undefined; body: string }[];
  /** How the next tokens are given. */
  lifetimeSeconds: number;
  /** Statuses of the next answers, before it works again. */
  failures: number[];
  /** Tokens without any rights. */
  powerless: boolean;
  /** Whether clients that ask for it get the identity token, too. */
  identities: boolean;
}

export const SERVICE = 'test-service';
export const ISSUER = 'test-issuer';

/** Basic `user:password` or the identity token gets pull and push; nobody gets pull of repositories that begin with `public/`. */
export async function startTokenServer(user: { name: string; password: string; identityToken: string }): Promise<TokenServer> {
  const files = makeCertificate();
  const requests: TokenServer['requests'] = [];
  const server = createServer((request, response) => {
    void readAll(request).then((body) => {
      const url = new URL(request.url ?? '/', 'http://localhost');
      requests.push({ method: request.method ?? '', url, authorization: request.headers.authorization, body });
      const failure = state.failures.shift();
      if (failure !== undefined) return void response.writeHead(failure).end('{}');
      const form = new URLSearchParams(body);
      const basic = `Basic ${Buffer.from(`${user.name}:${user.password}`).toString('base64')}`;
      const known = request.headers.authorization === basic || form.get('refresh_token') === user.identityToken;
      const wrong = !known && (request.headers.authorization !== undefined || request.method === 'POST');
      if (wrong) return void response.writeHead(401).end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'wrong password' }] }));
      const scopes = [...url.searchParams.getAll('scope'), ...(form.get('scope') ?? '').split(' ')].filter((scope) => scope !== '');
      const access = state.powerless ? [] : scopes.map((scope) => grant(scope, known)).filter(({ actions }) => actions.length > 0);
      const token = makeToken(files, access);
      const offline = known && state.identities && url.searchParams.get('offline_token') === 'true';
      const identity = offline ? { refresh_token: user.identityToken } : {};
      const name = request.method === 'POST' ? 'access_token' : 'token';
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ [name]: token, expires_in: state.lifetimeSeconds, ...identity }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  const state: TokenServer = {
    realm,
    certificate: files.certificate,
    requests,
    lifetimeSeconds: 300,
    failures: [],
    powerless: false,
    identities: false,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return state;
}

function grant(scope: string, known: boolean): { type: string; name: string; actions: string[] } {
  const [type = '', name = '', actions = ''] = scope.split(':');
  const allowed = known ? ['pull', 'push'] : name.startsWith('public/') ? ['pull'] : [];
  return { type, name, actions: actions.split(',').filter((action) => allowed.includes(action)) };
}

function makeToken({ certificate, key }: { certificate: string; key: string }, access: unknown): string {
  const der = readFileSync(certificate, 'utf8').replace(/-----[A-Z ]+-----|\s/g, '');
  const now = Math.floor(Date.now() / 1000);
  const header = { typ: 'JWT', alg: 'RS256', x5c: [der] };
  const claims = { iss: ISSUER, sub: 'test', aud: SERVICE, exp: now + 300, nbf: now - 10, iat: now, jti: randomUUID(), access };
  const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${sign('sha256', Buffer.from(text), readFileSync(key)).toString('base64url')}`;
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
