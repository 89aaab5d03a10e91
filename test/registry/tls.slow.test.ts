/** Table H7: what a server may be and do, and what the client says to it. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { Endpoint } from '../../src/registry/endpoint.ts';
import { readDocument } from '../../src/registry/read-document.ts';
import { NO_REGISTRIES, type Registries } from '../../src/registry/registries.ts';
import { openTransport } from '../../src/registry/transport.ts';
import { type Authority, type CertificateFiles, chain, makeAuthority, makeCertificate } from './_certificate.ts';
import { startRegistry } from './_docker-registry.ts';
import { temporaryDirectory } from './_temporary.ts';

/** What a server of a test is; it answers with the name of the client's certificate, or `nobody`. */
interface TestServer extends AsyncDisposable {
  readonly host: string;
}

async function serve(options: ServerOptions): Promise<TestServer> {
  const server: Server = createServer(options, (request, response) => {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    if (request.url === '/elsewhere') return void response.writeHead(200).end(String(request.headers.host));
    response.end(subject?.CN ?? 'nobody');
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const filesOf = ({ certificate, key }: CertificateFiles): ServerOptions => ({ cert: readFileSync(certificate), key: readFileSync(key) });

interface Trust {
  readonly ca?: CertificateFiles | undefined;
  readonly client?: CertificateFiles | undefined;
  readonly registries?: Registries;
}

/** A directory of certs.d. */
function certsDir(host: string, { ca, client }: Trust): string {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, host));
  if (ca !== undefined) copyFileSync(ca.certificate, join(directory, host, 'ca.crt'));
  if (client !== undefined) {
    copyFileSync(client.certificate, join(directory, host, 'client.cert'));
    copyFileSync(client.key, join(directory, host, 'client.key'));
  }
  return directory;
}

/** What the server says, by https, as to a registry that is not on loopback. */
async function ask(host: string, directories: readonly string[], registries = NO_REGISTRIES, home = host): Promise<string> {
  const transport = openTransport({
    ...{ signal: new AbortController().signal, idleMs: 5000, connectMs: 5000 },
    certificates: { directories, registries },
  });
  const endpoint: Endpoint = { registry: home, origin: `https://${home}`, hostname: '127.0.0.1', plain: false };
  const request = { method: 'GET', url: new URL(`https://${host}/v2/`), headers: {}, action: 'ask' } as const;
  try {
    const response = await transport.send(request, endpoint);
    return (await readDocument(response, request, { maxBytes: 1000, deadlineMs: 5000 })).toString();
  } finally {
    await transport.close();
  }
}

describe('openTransport() and the certificate of a server', () => {
  let authority: Authority;
  let stranger: Authority;
  let good: CertificateFiles;
  let client: CertificateFiles;
  before(() => {
    // What must have no effect.
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    authority = makeAuthority();
    stranger = makeAuthority();
    good = authority.issue();
    client = authority.issue();
  });
  after(() => {
    delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  });

  const wantsClient = (): ServerOptions => ({ ca: readFileSync(authority.certificate), requestCert: true, rejectUnauthorized: true });
  const servers: readonly [name: string, () => ServerOptions, message: RegExp][] = [
    [
      'is self-signed',
      () => filesOf(makeCertificate()),
      /its certificate is not trusted: it is signed by itself alone \(DEPTH_ZERO_SELF_SIGNED_CERT\)$/,
    ],
    ['has expired', () => filesOf(authority.issue({ from: -9, until: -2 })), /its certificate has expired \(CERT_HAS_EXPIRED\)$/],
    ['is not valid yet', () => filesOf(authority.issue({ from: 2, until: 9 })), /its certificate is not valid yet \(CERT_NOT_YET_VALID\)$/],
    [
      'is for another name',
      () => filesOf(authority.issue({ subjectAltName: 'DNS:other.example' })),
      /its certificate is for other names \(ERR_TLS_CERT_ALTNAME_INVALID\)$/,
    ],
    [
      'has an unknown authority',
      () => ({ ...filesOf(stranger.issue()) }),
      /is not trusted: its authority is none that is known here, or the server leaves out .* \(UNABLE_TO_VERIFY_LEAF_SIGNATURE\)$/,
    ],
    [
      'sends an unknown authority, too',
      () => {
        const leaf = stranger.issue();
        return { ...filesOf(leaf), cert: chain(leaf, stranger) };
      },
      /is not trusted: its authority is none that is known here \(SELF_SIGNED_CERT_IN_CHAIN\)$/,
    ],
    [
      'leaves out an intermediate certificate',
      () => filesOf(authority.intermediate().issue()),
      /or the server leaves out an intermediate certificate \(UNABLE_TO_VERIFY_LEAF_SIGNATURE\)$/,
    ],
    [
      'speaks TLS 1.0',
      () => ({ ...filesOf(good), minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }),
      /it speaks no TLS of version 1\.2 or newer \(\S+\)$/,
    ],
    [
      'speaks TLS 1.1',
      () => ({ ...filesOf(good), minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
      /it speaks no TLS of version 1\.2 or newer \(\S+\)$/,
    ],
    [
      'wants a client certificate by TLS 1.2',
      () => ({ ...filesOf(good), ...wantsClient(), maxVersion: 'TLSv1.2' }),
      /it ended the handshake: it may want a client certificate \(\S+\)$/,
    ],
  ];
  for (const [name, options, message] of servers) {
    test(`H7 a server that ${name} is refused`, async () => {
      await using server = await serve(options());
      const error = await ask(server.host, [certsDir(server.host, { ca: authority })]).then(
        (text) => assert.fail(`answered ${text}`),
        (thrown: Error & { code: string; hint: string }) => thrown,
      );
      assert.equal(error.code, 'ERR_TSBUILD_REGISTRY_UNREACHABLE', error.stack);
      assert.match(error.message, message);
      assert.ok(error.hint.length > 0);
    });
  }

  for (const [what, message] of [
    ['none', /: it wants a client certificate, and there is none for it$/],
    ['a wrong one', /it refuses our client certificate \(\S+\)$/],
    ['the right one', undefined],
  ] as const) {
    test(`docker-registry that wants a client certificate gets ${what}`, async () => {
      await using registry = await startRegistry({ tls: { ...good, clientAuthority: authority.certificate } });
      const shown = what === 'none' ? {} : { client: what === 'a wrong one' ? stranger.issue() : client };
      const asked = ask(registry.host, [certsDir(registry.host, { ca: authority, ...shown })]);
      if (message === undefined) assert.equal(await asked, '{}');
      else await assert.rejects(asked, { code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE', message });
    });
  }

  test('a server that is what its authority says is trusted, and without the authority it is not', async () => {
    await using server = await serve(filesOf(good));
    assert.equal(await ask(server.host, [certsDir(server.host, { ca: authority })]), 'nobody');
    await assert.rejects(ask(server.host, []), { code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE' });
    await assert.rejects(ask(server.host, [certsDir('127.0.0.1:1', { ca: authority })]), { code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE' });
  });

  test('an intermediate certificate that is sent completes the chain', async () => {
    const intermediate = authority.intermediate();
    const leaf = intermediate.issue();
    await using server = await serve({ ...filesOf(leaf), cert: chain(leaf, intermediate) });
    assert.equal(await ask(server.host, [certsDir(server.host, { ca: authority })]), 'nobody');
  });

  test('a client certificate of certs.d or registries.json is shown to its own registry', async () => {
    await using server = await serve({ ...filesOf(good), ...wantsClient() });
    const name = await ask(server.host, [certsDir(server.host, { ca: authority, client })]);
    assert.match(name, /^tsbuild leaf /);
    const settings = { mirrors: [], blocked: false, insecure: false, ca: authority.certificate, cert: client.certificate, key: client.key };
    assert.equal(await ask(server.host, [], { file: 'registries.json', entries: new Map([[server.host, settings]]) }), name);
    // The last directory is the user's own.
    const wrong = certsDir(server.host, { client: stranger.issue() });
    assert.equal(await ask(server.host, [wrong, certsDir(server.host, { ca: authority, client })]), name);
  });

  test('a host that the registry leads to sees no client certificate, whatever there is for it', async () => {
    await using server = await serve({
      ...filesOf(good),
      ca: readFileSync(authority.certificate),
      requestCert: true,
      rejectUnauthorized: false,
    });
    const directories = [certsDir(server.host, { ca: authority, client }), certsDir('127.0.0.1:1', { ca: authority, client })];
    assert.match(await ask(server.host, directories), /^tsbuild leaf /);
    assert.equal(await ask(server.host, directories, NO_REGISTRIES, '127.0.0.1:1'), 'nobody');
    // The authority of the registry is none for others.
    await assert.rejects(ask(server.host, directories.slice(1), NO_REGISTRIES, '127.0.0.1:1'), {
      code: 'ERR_TSBUILD_REGISTRY_UNREACHABLE',
    });
  });

  const broken: readonly [what: string, write: (home: string) => void, message: RegExp][] = [
    [
      'a certificate without its key',
      (home) => copyFileSync(client.certificate, join(home, 'a.cert')),
      /\/a\.cert: there is no a\.key beside it; authorities are named \*\.crt$/,
    ],
    ['a key without its certificate', (home) => copyFileSync(client.key, join(home, 'a.key')), /\/a\.key: there is no a\.cert beside it/],
    [
      'a key of another certificate',
      (home) => {
        copyFileSync(client.certificate, join(home, 'a.cert'));
        copyFileSync(good.key, join(home, 'a.key'));
      },
      /\/a\.cert: it and .*\/a\.key are no certificate with its key/,
    ],
    ['an authority that is none', (home) => writeFileSync(join(home, 'a.crt'), 'x'), /\/a\.crt: it has no certificate in PEM$/],
    [
      'an authority that is damaged',
      (home) => writeFileSync(join(home, 'a.crt'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
      /\/a\.crt: one of its certificates cannot be read$/,
    ],
    [
      'an authority of 2 MiB',
      (home) => writeFileSync(join(home, 'a.crt'), Buffer.alloc(2 << 20, 'x')),
      /\/a\.crt: it is larger than 1 MiB$/,
    ],
  ];
  for (const [what, write, message] of broken) {
    test(`${what} in certs.d is an error that names it`, async () => {
      await using server = await serve(filesOf(good));
      const directory = certsDir(server.host, { ca: authority });
      write(join(directory, server.host));
      await assert.rejects(ask(server.host, [directory]), { code: 'ERR_TSBUILD_CONFIGURATION_INVALID', message });
    });
  }

  test('NODE_EXTRA_CA_CERTS counts, alone and beside certs.d, and flags of Node do not lower the version', async () => {
    await using server = await serve({ ...filesOf(good), maxVersion: 'TLSv1.2' });
    await using old = await serve({ ...filesOf(good), minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' });
    const script = `
      const { openTransport } = await import(${JSON.stringify(new URL('../../src/registry/transport.js', import.meta.url).href)});
      const [host, directory] = process.argv.slice(1);
      const certificates = { directories: [directory], registries: { file: '', entries: new Map() } };
      const transport = openTransport({ signal: new AbortController().signal, idleMs: 5000, connectMs: 5000, certificates });
      const endpoint = { registry: host, origin: 'https://' + host, hostname: '127.0.0.1', plain: false };
      const request = { method: 'GET', url: new URL('https://' + host + '/'), headers: {}, action: 'ask' };
      console.log(await transport.send(request, endpoint).then(({ status }) => status, ({ message }) => message));
      await transport.close();`;
    const run = async (host: string, directory: string, env: NodeJS.ProcessEnv): Promise<string> =>
      await new Promise((resolve) => {
        const args = ['--tls-min-v1.0', '--input-type=module', '-e', script, host, directory];
        import('node:child_process').then(({ execFile }) =>
          execFile(process.execPath, args, { env: { ...process.env, ...env } }, (_, stdout) => resolve(stdout.trim())),
        );
      });
    const extra = { NODE_EXTRA_CA_CERTS: authority.certificate };
    const others = certsDir(server.host, { ca: stranger });
    assert.equal(await run(server.host, '/nonexistent', extra), '200');
    assert.equal(await run(server.host, others, extra), '200');
    assert.match(await run(server.host, others, { NODE_EXTRA_CA_CERTS: '' }), /UNABLE_TO_VERIFY_LEAF_SIGNATURE/);
    assert.match(await run(old.host, '/nonexistent', extra), /no TLS of version 1\.2/);
  });
});
