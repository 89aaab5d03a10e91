/** A cache in a bucket of S3, or of any server that speaks its protocol. Blobs are named by their digest, manifests by name. */
import { TsbuildError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { hexOf } from '../oci/digest.ts';
import { MANIFEST_BYTES_MAX } from '../oci/parse-manifest.ts';
import { type AwsCredentials, EMPTY_SHA256, encodeKey, signedHeaders } from './aws-signature.ts';
import { once } from './bytes.ts';
import type { S3Attributes, S3Place } from './cache-place.ts';
import type { CacheCarrier } from './carrier.ts';
import { failure, type HttpAnswer, type HttpExchange, openHttpExchange } from './http-exchange.ts';

/** One PUT takes 5 GiB; what is larger would need many. */
const BLOB_BYTES_MAX = 5 * 2 ** 30;
const DAY_MS = 86_400_000;

/** Throws CACHE_FAILED where there are no credentials. */
export function openS3Carrier(place: S3Place & S3Attributes, signal: AbortSignal): CacheCarrier {
  const bucket = openBucket(place, openHttpExchange({ signal }));
  const { prefix = '', blobsPrefix = 'blobs/', manifestsPrefix = 'manifests/', names = ['buildkit'], touchRefreshMs = DAY_MS } = place;
  const keyOf = ({ digest }: Pick<Descriptor, 'digest'>): string => `${prefix}${blobsPrefix}${digest}`;
  return {
    async readManifests() {
      const manifests: Buffer[] = [];
      for (const name of names) {
        const bytes = await bucket.read(`${prefix}${manifestsPrefix}${name}`, MANIFEST_BYTES_MAX);
        if (bytes !== undefined) manifests.push(bytes);
      }
      return manifests;
    },
    readBlob: (blob) => bucket.stream(keyOf(blob), blob.size),
    async hasBlob(blob) {
      const found = await bucket.head(keyOf(blob));
      if (found === undefined || found.size !== blob.size) return false;
      // Rules that remove old objects go by this time.
      if (Date.now() - found.modifiedAt > touchRefreshMs) await bucket.touch(keyOf(blob));
      return true;
    },
    async writeBlob(blob, open) {
      if (blob.size > BLOB_BYTES_MAX)
        throw new TsbuildError('CACHE_FAILED', `Cannot write blob ${blob.digest} to S3: it is larger than 5 GiB`);
      await bucket.write(keyOf(blob), { sha256: hexOf(blob.digest), size: blob.size, open });
      return 'pushed';
    },
    async commit({ bytes, digest }) {
      for (const name of names)
        await bucket.write(`${prefix}${manifestsPrefix}${name}`, { sha256: hexOf(digest), size: bytes.length, open: () => once(bytes) });
    },
    close: bucket.close,
  };
}

interface Bucket {
  head(key: string): Promise<{ readonly size: number; readonly modifiedAt: number } | undefined>;
  /** undefined where there is none. */
  read(key: string, maxBytes: number): Promise<Buffer | undefined>;
  stream(key: string, size: number): AsyncIterable<Buffer>;
  write(key: string, object: { readonly sha256: string; readonly size: number; open(): AsyncIterable<Buffer> }): Promise<void>;
  touch(key: string): Promise<void>;
  close(): Promise<void>;
}

function openBucket(place: S3Place, http: HttpExchange): Bucket {
  const credentials = credentialsOf(place);
  const { region } = place;
  const send = async (
    method: 'GET' | 'HEAD' | 'PUT',
    key: string,
    {
      headers = {},
      bodySha256 = EMPTY_SHA256,
      body,
    }: { headers?: Record<string, string>; bodySha256?: string; body?: () => AsyncIterable<Buffer> | Buffer } = {},
  ): Promise<HttpAnswer> => {
    const url = urlOf(place, key);
    const signed = signedHeaders({ method, url, headers, bodySha256 }, { credentials, region, now: new Date() });
    return await http.send({ method, url, headers: signed, action: `${method} ${key.slice(0, 200)} of the bucket ${place.bucket}`, body });
  };
  const refused = async (key: string, answer: HttpAnswer): Promise<TsbuildError> => {
    const code = await errorCode(answer);
    const action = `use ${key.slice(0, 200)} of the bucket ${place.bucket}`;
    return failure({ action, url: urlOf(place, key) }, `the server answers ${answer.status}${code === undefined ? '' : ` ${code}`}`);
  };
  return {
    async head(key) {
      const answer = await send('HEAD', key);
      answer.discard();
      if (answer.status === 404) return undefined;
      if (answer.status !== 200)
        throw failure({ action: `find ${key.slice(0, 200)}`, url: urlOf(place, key) }, `the server answers ${answer.status}`);
      return { size: Number(answer.header('content-length') ?? -1), modifiedAt: Date.parse(answer.header('last-modified') ?? '') || 0 };
    },
    async read(key, maxBytes) {
      const answer = await send('GET', key);
      if (answer.status === 404) {
        if ((await errorCode(answer)) !== 'NoSuchBucket') return undefined;
        throw failure({ action: `use the bucket ${place.bucket}`, url: urlOf(place, key) }, 'there is no such bucket');
      }
      if (answer.status !== 200) throw await refused(key, answer);
      return await bounded(answer, maxBytes, key);
    },
    async *stream(key, size) {
      const answer = await send('GET', key);
      if (answer.status !== 200) throw await refused(key, answer);
      let rest = size;
      for await (const chunk of answer.body) {
        yield chunk.subarray(0, rest);
        rest -= chunk.length;
        if (rest < 0) throw new TsbuildError('DIGEST_MISMATCH', `Cannot accept ${key.slice(0, 200)}: it has more than ${size} bytes`);
      }
    },
    async write(key, { sha256, size, open }) {
      const headers = { 'content-length': String(size), 'content-type': 'application/octet-stream' };
      const answer = await send('PUT', key, { headers, bodySha256: sha256, body: open });
      if (answer.status !== 200) throw await refused(key, answer);
      answer.discard();
    },
    async touch(key) {
      // Not every server undoes more than it has to.
      const source = encodeKey(`${place.bucket}/${key}`).replaceAll('%3A', ':');
      const headers = { 'x-amz-copy-source': source, 'x-amz-metadata-directive': 'REPLACE', 'content-length': '0' };
      const answer = await send('PUT', key, { headers });
      if (answer.status !== 200) throw await refused(key, answer);
      answer.discard();
    },
    close: http.close,
  };
}

async function errorCode(answer: HttpAnswer): Promise<string | undefined> {
  return /<Code>([A-Za-z]{1,60})<\/Code>/.exec(await answer.text())?.[1];
}

async function bounded(answer: HttpAnswer, maxBytes: number, key: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer.body) {
    size += chunk.length;
    if (size > maxBytes) throw new TsbuildError('IMAGE_INVALID', `Cannot use ${key.slice(0, 200)}: it is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function urlOf({ bucket, region, endpointUrl, usePathStyle }: S3Place, key: string): URL {
  const base = new URL(endpointUrl ?? `https://s3.${region}.amazonaws.com`);
  const inPath = usePathStyle ?? endpointUrl !== undefined;
  const path = `${base.pathname.replace(/\/$/, '')}/${inPath ? `${bucket}/` : ''}${encodeKey(key)}`;
  return new URL(`${base.protocol}//${inPath ? '' : `${bucket}.`}${base.host}${path}`);
}

function credentialsOf({ bucket, accessKeyId, secretAccessKey, sessionToken }: S3Place): AwsCredentials {
  const { env } = process;
  const id = accessKeyId ?? env['AWS_ACCESS_KEY_ID'];
  const secret = secretAccessKey ?? env['AWS_SECRET_ACCESS_KEY'];
  if (id !== undefined && secret !== undefined) {
    return {
      accessKeyId: id,
      secretAccessKey: secret,
      sessionToken: sessionToken ?? (accessKeyId === undefined ? env['AWS_SESSION_TOKEN'] : undefined),
    };
  }
  throw new TsbuildError('CACHE_FAILED', `Cannot use the bucket ${bucket}: there are no credentials`, {
    hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or access_key_id and secret_access_key of the cache.',
  });
}
