/** A server, and a proxy that leads to it whatever name is asked for, both new for each test; the environment names no proxy when a test begins. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach } from 'node:test';

const NAMES = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]);

export interface ProxiedServer {
  readonly port: number;
  readonly proxyPort: number;
  /** `HOST:PORT` of each tunnel, and the authorization where there was one. */
  readonly asked: readonly string[];
}

/** To be called once in a file, outside of its tests. */
export function proxiedServer(answer: (request: IncomingMessage, response: ServerResponse, port: number) => void): ProxiedServer {
  const before = new Map(NAMES.map((name) => [name, process.env[name]]));
  let [server, proxy, asked]: [Server, Server, string[]] = [createServer(), createServer(), []];
  beforeEach(async () => {
    asked = [];
    server = await listening(createServer((request, response) => answer(request, response, portOf(server))));
    proxy = createServer((_, response) => response.writeHead(501).end());
    proxy.on('connect', (request, socket) => {
      asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
      const upstream = connect(portOf(server), '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      upstream.pipe(socket).pipe(upstream);
      for (const end of [upstream, socket]) end.on('error', () => {});
    });
    await listening(proxy);
    for (const name of NAMES) delete process.env[name];
  });
  afterEach(() => {
    for (const [name, value] of before) {
      delete process.env[name];
      if (value !== undefined) process.env[name] = value;
    }
    for (const each of [server, proxy]) {
      each.closeAllConnections();
      each.close();
    }
  });
  return {
    get port() {
      return portOf(server);
    },
    get proxyPort() {
      return portOf(proxy);
    },
    get asked() {
      return asked;
    },
  };
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

async function listening(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
