/** npm's s3rver on a free loopback port. It knows its user by name and believes any signature: those are judged by AWS's own examples. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface S3Server extends AsyncDisposable {
  readonly url: string;
  /** Where it keeps its objects. */
  readonly directory: string;
  readonly bucket: string;
}

/** What s3rver takes for its one user. */
export const S3_ENVIRONMENT = { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER', AWS_REGION: 'us-east-1' };

interface Server {
  run(): Promise<{ readonly port: number }>;
  close(): Promise<void>;
}

export async function startS3(): Promise<S3Server> {
  const S3rver = createRequire(import.meta.url)('s3rver') as new (options: object) => Server;
  const directory = mkdtempSync(path.join(tmpdir(), 'tsbuild-s3-'));
  const server = new S3rver({ ...{ port: 0, address: '127.0.0.1', silent: true, directory }, configureBuckets: [{ name: 'builds' }] });
  const { port } = await server.run();
  return {
    ...{ url: `http://127.0.0.1:${port}`, directory, bucket: 'builds' },
    async [Symbol.asyncDispose]() {
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
