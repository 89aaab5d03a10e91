/** `--cache-from` and `--cache-to` by their attributes, as docker buildx names them. */
import { TsbuildError } from '../errors.ts';
import type { OutputFields } from '../exporters/output.ts';
import { outputFields } from '../exporters/output-fields.ts';
import { compressionOf } from '../layers/compress.ts';
import { isDigest } from '../oci/digest.ts';
import { parseReference } from '../oci/reference.ts';
import { parseDuration } from '../parser/duration.ts';
import { didYouMean } from '../parser/suggest.ts';
import type { CacheSource, CacheTarget, GithubPlace, S3Attributes, S3Place, TargetAttributes } from './cache-place.ts';

type Attributes = Iterable<readonly [string, string]>;
type Environment = Readonly<Record<string, string | undefined>>;
type SourceType = CacheSource['type'];
type TargetType = CacheTarget['type'];

const S3 = [
  ...['bucket', 'region', 'name', 'prefix', 'blobs_prefix', 'manifests_prefix', 'endpoint_url', 'use_path_style'],
  ...['access_key_id', 'secret_access_key', 'session_token'],
] as const;
const GITHUB = ['scope', 'url', 'url_v2', 'token', 'version', 'timeout'];
const COMMON = [
  'mode',
  'compression',
  'compression-level',
  'force-compression',
  'oci-mediatypes',
  'image-manifest',
  'ignore-error',
  'mounts',
];
const FROM: Readonly<Record<SourceType, readonly string[]>> = {
  registry: ['ref', 'registry.insecure', 'mounts'],
  local: ['src', 'tag', 'digest', 'mounts'],
  s3: [...S3, 'mounts'],
  gha: [...GITHUB, 'mounts'],
};
const TO: Readonly<Record<TargetType, readonly string[]>> = {
  registry: ['ref', 'registry.insecure', ...COMMON],
  inline: ['mode'],
  local: ['dest', 'tag', 'reset', ...COMMON],
  s3: [...S3, 'touch_refresh', 'upload_parallelism', ...COMMON],
  gha: [...GITHUB, ...COMMON],
};
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** Throws USAGE, REFERENCE_INVALID. */
export function parseCacheSource(attributes: Attributes, env: Environment = process.env): CacheSource {
  const map = new Map(attributes);
  if (map.get('type') === 'inline')
    throw usage('Cannot use the cache type inline for --cache-from', 'It is in the image: type=registry,ref=IMAGE.');
  const type = typeOf(map, FROM);
  const fields = outputFields(type, map, FROM[type], 'a cache');
  const mounts = fields.boolean('mounts');
  const own = mounts === undefined ? {} : { mounts };
  switch (type) {
    case 'registry':
      return { type, ref: refOf(fields), insecure: fields.boolean('registry.insecure'), ...own };
    case 'local':
      return { type, src: fields.needed('src'), tag: tagOf(fields), digest: digestOf(fields), ...own };
    case 's3':
      return { ...s3Place(fields, env), ...own };
    case 'gha':
      return { ...githubPlace(fields), ...own };
  }
}

/** Throws USAGE, REFERENCE_INVALID. */
export function parseCacheTarget(attributes: Attributes, env: Environment = process.env): CacheTarget {
  const map = new Map(attributes);
  const type = typeOf(map, TO);
  const fields = outputFields(type, map, TO[type], 'a cache');
  switch (type) {
    case 'registry':
      return { type, ref: refOf(fields), insecure: fields.boolean('registry.insecure'), ...targetAttributes(fields) };
    case 'inline':
      if (fields.choice('mode', ['min', 'max']) === 'max')
        throw usage('Cannot use mode=max of a cache of the type inline: an image holds its own layers');
      return { type };
    case 'local':
      return { type, dest: fields.needed('dest'), tag: tagOf(fields), reset: fields.boolean('reset'), ...targetAttributes(fields) };
    case 's3':
      return { ...s3Place(fields, env), ...s3Attributes(fields), ...targetAttributes(fields) };
    case 'gha':
      return { ...githubPlace(fields), ...targetAttributes(fields) };
  }
}

function typeOf<T extends string>(map: ReadonlyMap<string, string>, known: Readonly<Record<T, unknown>>): T {
  const types = Object.keys(known) as T[];
  const name = map.get('type') ?? '';
  const type = types.find((one) => one === name);
  if (type !== undefined) return type;
  if (name === '') throw usage('Cannot use a cache without type=', `Types are ${types.join(', ')}.`);
  throw usage(
    `Cannot use a cache of the type ${JSON.stringify(name.slice(0, 100))}${didYouMean(name, types)}`,
    `Types are ${types.join(', ')}.`,
  );
}

function targetAttributes(fields: OutputFields): TargetAttributes {
  const compression = fields.choice('compression', ['uncompressed', 'gzip', 'zstd']);
  const compressionLevel = fields.whole('compression-level');
  compressionOf(compression ?? 'gzip', compressionLevel);
  for (const name of ['oci-mediatypes', 'image-manifest']) {
    if (fields.boolean(name) === false) throw usage(`Cannot use ${name}=false: a cache is written as an OCI image manifest`);
  }
  return {
    mode: fields.choice('mode', ['min', 'max']),
    ...{ compression, compressionLevel, forceCompression: fields.boolean('force-compression') },
    ...{ mounts: fields.boolean('mounts'), ignoreError: fields.boolean('ignore-error') },
  };
}

function refOf(fields: OutputFields): string {
  const ref = fields.needed('ref');
  parseReference(ref);
  return ref;
}

function tagOf(fields: OutputFields): string | undefined {
  const tag = fields.text('tag');
  if (tag === undefined || TAG.test(tag)) return tag;
  throw usage(`Cannot use ${JSON.stringify(tag.slice(0, 130))} as the tag of a cache`);
}

function digestOf(fields: OutputFields): string | undefined {
  const digest = fields.text('digest');
  if (digest === undefined || isDigest(digest)) return digest;
  throw usage(`Cannot use ${JSON.stringify(digest.slice(0, 100))} as the digest of a cache: not sha256:<64 hex digits>`);
}

function s3Place(fields: OutputFields, env: Environment): S3Place {
  const bucket = fields.text('bucket') ?? env['AWS_BUCKET'] ?? fields.needed('bucket');
  const region = fields.text('region') ?? env['AWS_REGION'] ?? fields.needed('region');
  if (!/^[a-z0-9][a-z0-9._-]{1,62}$/i.test(bucket)) throw usage(`Cannot use ${JSON.stringify(bucket.slice(0, 100))} as a bucket`);
  if (!/^[a-z0-9-]{1,64}$/i.test(region)) throw usage(`Cannot use ${JSON.stringify(region.slice(0, 100))} as a region`);
  const endpointUrl = fields.text('endpoint_url');
  if (endpointUrl !== undefined && !/^https?:$/.test(URL.canParse(endpointUrl) ? new URL(endpointUrl).protocol : ''))
    throw usage('Cannot use the endpoint_url of a cache: not an address with http or https');
  const names = fields
    .text('name')
    ?.split(';')
    .filter((name) => name !== '');
  return {
    ...{ type: 's3', bucket, region, names, endpointUrl },
    ...{ prefix: fields.text('prefix'), blobsPrefix: fields.text('blobs_prefix'), manifestsPrefix: fields.text('manifests_prefix') },
    usePathStyle: fields.boolean('use_path_style'),
    ...{ accessKeyId: fields.text('access_key_id'), secretAccessKey: fields.text('secret_access_key') },
    sessionToken: fields.text('session_token'),
  };
}

function s3Attributes(fields: OutputFields): S3Attributes {
  const uploadParallelism = fields.whole('upload_parallelism');
  if (uploadParallelism !== undefined && (uploadParallelism < 1 || uploadParallelism > 64))
    throw usage(`Cannot use upload_parallelism=${uploadParallelism}: not from 1 to 64`);
  return { touchRefreshMs: durationOf(fields, 'touch_refresh'), uploadParallelism };
}

function githubPlace(fields: OutputFields): GithubPlace {
  const version = fields.choice('version', ['1', '2']);
  for (const name of ['url', 'url_v2']) {
    const url = fields.text(name);
    if (url !== undefined && !URL.canParse(url)) throw usage(`Cannot use the ${name} of a cache: not an address`);
  }
  return {
    ...{ type: 'gha', scope: fields.text('scope'), url: fields.text('url'), urlV2: fields.text('url_v2'), token: fields.text('token') },
    version: version === undefined ? undefined : version === '1' ? 1 : 2,
    timeoutMs: durationOf(fields, 'timeout'),
  };
}

function durationOf(fields: OutputFields, name: string): number | undefined {
  const text = fields.text(name);
  if (text === undefined) return undefined;
  const nanoseconds = parseDuration(text);
  if (nanoseconds !== undefined && nanoseconds >= 0) return nanoseconds / 1e6;
  throw usage(`Cannot use ${name}=${JSON.stringify(text.slice(0, 100))} of a cache: not a duration such as 10m`);
}

function usage(message: string, hint?: string): TsbuildError {
  return new TsbuildError('USAGE', message, { hint });
}
