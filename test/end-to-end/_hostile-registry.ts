/** A registry whose images have a busybox layer and configs that no honest builder writes. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

export interface HostileRegistry extends AsyncDisposable {
  /** The reference of an image of the tar whose config has `changes` over an honest one. */
  image(name: string, changes: object): string;
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export async function startHostileRegistry(rootfsTar: string): Promise<HostileRegistry> {
  const tar = readFileSync(rootfsTar);
  const layer = gzipSync(tar, { level: 1 });
  const answers = new Map<string, { type: string; body: Buffer }>([[digestOf(layer), { type: 'application/octet-stream', body: layer }]]);
  const server = createServer((request, response) => {
    const answer = answers.get(request.url?.split('/').at(-1) ?? '');
    if (request.url === '/v2/') response.end('{}');
    else if (answer === undefined) {
      response.statusCode = 404;
      response.end(
        JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN\u001b[2J', message: 'no\u001b]0;title\u0007\u009b2J such\nthing' }] }),
      );
    } else response.setHeader('content-type', answer.type).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    image(name, changes) {
      const honest = {
        architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
        os: 'linux',
        rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
      };
      const config = Buffer.from(JSON.stringify({ ...honest, config: { Env: ['PATH=/bin'] }, ...changes }));
      answers.set(digestOf(config), { type: 'application/octet-stream', body: config });
      const type = 'application/vnd.oci.image.manifest.v1+json';
      const manifest = {
        schemaVersion: 2,
        mediaType: type,
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
        layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: digestOf(layer), size: layer.length }],
      };
      answers.set(name, { type, body: Buffer.from(JSON.stringify(manifest)) });
      return `127.0.0.1:${port}/hostile:${name}`;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
