/** Debian's real docker-registry on a free loopback port, for as long as a test needs it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { get as getSecure } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryDirectory } from './_temporary.ts';

export interface RegistryOptions {
  /** Basic authentication for these users (name → password). */
  readonly users?: Readonly<Record<string, string>>;
  /** Token authentication. */
  readonly token?: { readonly realm: string; readonly service: string; readonly issuer: string; readonly certificate: string };
  readonly tls?: {
    readonly certificate: string;
    readonly key: string;
    /** Clients need a certificate of this authority. */
    readonly clientAuthority?: string;
  };
  readonly readonly?: boolean;
}

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, as in references. */
  readonly host: string;
  readonly port: number;
  /** Where it keeps its files. */
  readonly directory: string;
  stop(): Promise<void>;
}

/** Starts the registry and waits until it answers. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const home = temporaryDirectory();
  const directory = join(home, 'data');
  mkdirSync(directory);
  const port = await freePort();
  writeFileSync(join(home, 'config.json'), JSON.stringify(configuration(options, { home, directory, port })));
  const child = spawn('docker-registry', ['serve', join(home, 'config.json')], { stdio: ['ignore', 'ignore', 'ignore'] });
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const stop = async (): Promise<void> => {
    process.removeListener('exit', killAtExit);
    await ended(child);
    rmSync(home, { recursive: true, force: true });
  };
  await answering(port, options.tls);
  return { host: `127.0.0.1:${port}`, port, directory, stop, [Symbol.asyncDispose]: stop };
}

interface Place {
  readonly home: string;
  readonly directory: string;
  readonly port: number;
}

/** JSON is YAML. */
function configuration({ users, token, tls, readonly }: RegistryOptions, { home, directory, port }: Place): object {
  const maintenance = { readonly: { enabled: readonly === true }, uploadpurging: { enabled: false } };
  return {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: directory }, delete: { enabled: true }, maintenance },
    http: {
      addr: `127.0.0.1:${port}`,
      secret: 'test',
      ...(tls === undefined ? {} : { tls: tlsSettings(tls) }),
    },
    ...(users === undefined ? {} : { auth: { htpasswd: { realm: 'test', path: writePasswords(home, users) } } }),
    ...(token === undefined
      ? {}
      : { auth: { token: { realm: token.realm, service: token.service, issuer: token.issuer, rootcertbundle: token.certificate } } }),
  };
}

function tlsSettings({ certificate, key, clientAuthority }: NonNullable<RegistryOptions['tls']>): object {
  return { certificate, key, ...(clientAuthority === undefined ? {} : { clientcas: [clientAuthority] }) };
}

/** docker-registry takes bcrypt alone; Debian's perl-base can make it. */
function writePasswords(home: string, users: Readonly<Record<string, string>>): string {
  const lines = Object.entries(users).map(([name, password]) => {
    const script = 'print crypt($ARGV[0], q{$2y$05$abcdefghijklmnopqrstuu})';
    return `${name}:${execFileSync('perl', ['-e', script, password], { encoding: 'utf8' })}`;
  });
  const path = join(home, 'htpasswd');
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

async function answering(port: number, tls: RegistryOptions['tls']): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await new Promise<boolean>((resolve) => void tryOnce(port, tls, resolve))) return;
    await sleep(25);
  }
  throw new Error('docker-registry does not answer');
}

function tryOnce(port: number, tls: RegistryOptions['tls'], done: (ok: boolean) => void): void {
  // One that wants client certificates answers us nothing but an alert.
  const secure = tls !== undefined && tls.clientAuthority === undefined;
  const url = `${secure ? 'https' : 'http'}://127.0.0.1:${port}/v2/`;
  const request = secure ? getSecure(url, { rejectUnauthorized: false }) : get(url);
  request.on('response', (response) => {
    response.resume();
    done(true);
  });
  request.on('error', () => done(false));
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    child.kill('SIGKILL');
  });
}
