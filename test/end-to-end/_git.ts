/** Real git repositories, served over smart HTTP by git's own program behind a server on this machine. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

const EXEC_PATH = execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim();
const TIME = '2001-02-03T04:05:06Z';

export interface GitServer extends AsyncDisposable {
  /** Such as `http://127.0.0.1:1234`. */
  readonly base: string;
  /** What was asked for: method and URL, with the Authorization header where there was one. */
  readonly asked: { url: string; authorization: string | undefined }[];
  /** A first look at each request; true: it has been answered. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
}

/** Runs git in `directory` as somebody whose configuration is empty. */
export function git(directory: string, ...args: string[]): string {
  const identity = {
    GIT_AUTHOR_NAME: 'n',
    GIT_AUTHOR_EMAIL: 'n@example.com',
    GIT_COMMITTER_NAME: 'n',
    GIT_COMMITTER_EMAIL: 'n@example.com',
  };
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_DATE: TIME,
    GIT_COMMITTER_DATE: TIME,
  };
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  return execFileSync('git', ['-c', 'protocol.file.allow=always', ...args], {
    cwd: directory,
    env: { ...env, ...identity },
    encoding: 'utf8',
    stdio,
  }).trim();
}

/** A repository with one commit of `files` on `main`; returns its directory, which may be served. */
export function makeRepository(parent: string, name: string, files: Readonly<Record<string, string>>): string {
  const directory = path.join(parent, name);
  mkdirSync(directory, { recursive: true });
  git(directory, 'init', '-q', '-b', 'main');
  commitFiles(directory, files);
  return directory;
}

/** Returns the commit. */
export function commitFiles(directory: string, files: Readonly<Record<string, string>>): string {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(directory, file)), { recursive: true });
    writeFileSync(path.join(directory, file), text);
  }
  git(directory, 'add', '-A');
  git(directory, 'commit', '-q', '--allow-empty', '-m', 'a commit');
  return git(directory, 'rev-parse', 'HEAD');
}

/** Serves every repository below `root`. */
export async function serveGit(root: string): Promise<GitServer> {
  const asked: GitServer['asked'] = [];
  const holder: { intercept: GitServer['intercept'] } = { intercept: undefined };
  const server: Server = createServer((request, response) => {
    const { url = '', headers } = request;
    asked.push({ url, authorization: headers.authorization });
    if (holder.intercept?.(request, response) !== true) backend(root, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    get intercept() {
      return holder.intercept;
    },
    set intercept(value) {
      holder.intercept = value;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** git-http-backend(1) as a CGI program. */
function backend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '', 'http://x');
  const { method = 'GET', headers } = request;
  const env = {
    ...{
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
    },
    ...{
      GIT_CONFIG_VALUE_0: '*',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: method,
      REMOTE_ADDR: '127.0.0.1',
    },
    ...{ CONTENT_TYPE: headers['content-type'] ?? '', HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '' },
    GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
  };
  const child = spawn(path.join(EXEC_PATH, 'git-http-backend'), [], { env, stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.on('error', () => {});
  request.pipe(child.stdin);
  const parts: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => parts.push(chunk));
  child.on('close', () => {
    const whole = Buffer.concat(parts);
    const end = whole.indexOf('\r\n\r\n');
    const fields = whole
      .toString('latin1', 0, end)
      .split('\r\n')
      .map((line) => line.split(/: (.*)/s, 2));
    const status = fields.find(([name]) => name === 'Status')?.[1]?.slice(0, 3) ?? '200';
    response
      .writeHead(Number(status), Object.fromEntries(fields.filter(([name]) => name !== 'Status' && name !== '')))
      .end(whole.subarray(end + 4));
  });
}
