/** The referrers API of distribution-spec 1.1 before a registry that has none: Debian's is older. All else is passed on. */
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MEDIA_TYPE } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';

export interface ReferrersRegistry extends AsyncDisposable {
  readonly host: string;
  /** Entries of one page. */
  pageSize: number;
  /** Whether it chooses by artifactType itself; it need not. */
  filters: boolean;
  /** Of the next pages, instead of the right one. */
  link: string | undefined;
  readonly requests: string[];
}

interface ForeignManifest {
  readonly subject?: { readonly digest: string };
  readonly artifactType?: string;
  readonly config?: { readonly mediaType: string };
  readonly annotations?: object;
}

type Listed = ReturnType<typeof listed>;

export async function startReferrersRegistry(targetPort: number): Promise<ReferrersRegistry> {
  const lists = new Map<string, Listed[]>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    state.requests.push(`${request.method} ${url.pathname}${url.search}`);
    const subject = /\/referrers\/(sha256:[a-f0-9]{64})$/.exec(url.pathname)?.[1];
    if (subject === undefined) return void readAll(request).then((body) => pass({ request, response, body, targetPort, lists }));
    answer(response, { url, all: lists.get(subject) ?? [], state });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const state: ReferrersRegistry = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ pageSize: 100, filters: true, link: undefined, requests: [] },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return state;
}

function answer(response: ServerResponse, { url, all, state }: { url: URL; all: Listed[]; state: ReferrersRegistry }): void {
  const type = state.filters ? url.searchParams.get('artifactType') : null;
  const chosen = all.filter(({ artifactType }) => type === null || artifactType === type);
  const start = Number(url.searchParams.get('start') ?? 0);
  const next = new URL(url);
  next.searchParams.set('start', String(start + state.pageSize));
  const more = start + state.pageSize < chosen.length ? `<${state.link ?? next.pathname + next.search}>; rel="next"` : undefined;
  response.writeHead(200, {
    'content-type': MEDIA_TYPE.index,
    ...(type === null ? {} : { 'oci-filters-applied': 'artifactType' }),
    ...(more === undefined ? {} : { link: more }),
  });
  const manifests = chosen.slice(start, start + state.pageSize);
  response.end(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests }));
}

interface Passed {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Buffer;
  readonly targetPort: number;
  readonly lists: Map<string, Listed[]>;
}

function pass({ request, response, body, targetPort, lists }: Passed): void {
  const { method, url, headers } = request;
  const onward = httpRequest({ host: '127.0.0.1', port: targetPort, method, path: url, headers }, (found) => {
    const subject =
      method === 'PUT' && url?.includes('/manifests/') ? (JSON.parse(body.toString()) as ForeignManifest).subject?.digest : undefined;
    if (subject !== undefined && found.statusCode === 201) {
      const entry = listed(body, String(headers['content-type']));
      lists.set(subject, [...(lists.get(subject) ?? []).filter(({ digest }) => digest !== entry.digest), entry]);
    }
    response.writeHead(found.statusCode ?? 500, { ...found.headers, ...(subject === undefined ? {} : { 'oci-subject': subject }) });
    found.pipe(response);
  });
  onward.end(body);
}

function listed(body: Buffer, mediaType: string) {
  const { artifactType, config, annotations } = JSON.parse(body.toString()) as ForeignManifest;
  return { mediaType, digest: digestOf(body), size: body.length, artifactType: artifactType ?? config?.mediaType, annotations };
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
