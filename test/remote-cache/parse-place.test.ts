import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TsbuildError } from '../../src/errors.ts';
import { parseCacheSource, parseCacheTarget } from '../../src/remote-cache/parse-place.ts';

/** As the command line parts it. */
function fields(text: string): [string, string][] {
  return text.split(',').map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]);
}

const NONE = {};
const given = (value: object): object => JSON.parse(JSON.stringify(value)) as object;

describe('parseCacheTarget()', () => {
  test('reads the attributes of buildx', () => {
    const registry =
      'type=registry,ref=r.example/a:c,mode=max,compression=zstd,compression-level=9,force-compression=true,oci-mediatypes=true';
    assert.deepEqual(
      given(parseCacheTarget(fields(`${registry},image-manifest=true,ignore-error=1,registry.insecure=true,mounts=true`), NONE)),
      {
        ...{ type: 'registry', ref: 'r.example/a:c', insecure: true, mode: 'max', compression: 'zstd', compressionLevel: 9 },
        ...{ forceCompression: true, mounts: true, ignoreError: true },
      },
    );
    assert.deepEqual(given(parseCacheTarget(fields('type=inline'), NONE)), { type: 'inline' });
    assert.deepEqual(given(parseCacheTarget(fields('type=local,dest=d,tag=t,reset=true'), NONE)), {
      type: 'local',
      dest: 'd',
      tag: 't',
      reset: true,
    });
    const s3 = 'type=s3,name=a;b,prefix=p/,blobs_prefix=b/,manifests_prefix=m/,endpoint_url=http://s3.example,use_path_style=true';
    assert.deepEqual(
      given(parseCacheTarget(fields(`${s3},touch_refresh=1h,upload_parallelism=2`), { AWS_BUCKET: 'bucket', AWS_REGION: 'eu-1' })),
      {
        ...{ type: 's3', bucket: 'bucket', region: 'eu-1', names: ['a', 'b'], prefix: 'p/', blobsPrefix: 'b/', manifestsPrefix: 'm/' },
        ...{ endpointUrl: 'http://s3.example', usePathStyle: true, touchRefreshMs: 3_600_000, uploadParallelism: 2 },
      },
    );
    assert.deepEqual(given(parseCacheTarget(fields('type=gha,scope=s,version=2,timeout=90s'), NONE)), {
      ...{ type: 'gha', scope: 's', version: 2, timeoutMs: 90_000 },
    });
  });

  test('throws USAGE for what it does not know, with the nearest that it knows', () => {
    const wrong: [string, RegExp][] = [
      ['type=registri,ref=a', /type "registri" \(did you mean registry\?\)/],
      ['ref=a', /without type=/],
      ['type=registry,ref=a,mods=max', /no attribute "mods" \(did you mean mode\?\)/],
      ['type=registry,ref=a,mode=all', /mode="all" is not one of min, max/],
      ['type=registry', /ref= is missing/],
      ['type=registry,ref=a,image-manifest=false', /image-manifest=false/],
      ['type=registry,ref=a,compression=estargz', /not one of uncompressed, gzip, zstd/],
      ['type=registry,ref=a,compression=gzip,compression-level=12', /12 as the compression level/],
      ['type=inline,mode=max', /mode=max/],
      ['type=local', /dest= is missing/],
      ['type=local,dest=d,tag=../x', /as the tag/],
      ['type=s3,region=r', /bucket= is missing/],
      ['type=s3,bucket=b/../c,region=r', /as a bucket/],
      ['type=s3,bucket=bbb,region=r,endpoint_url=file:///etc', /endpoint_url/],
      ['type=s3,bucket=bbb,region=r,upload_parallelism=0', /upload_parallelism=0/],
      ['type=gha,version=3', /version="3" is not one of 1, 2/],
      ['type=gha,timeout=soon', /timeout="soon"/],
      ['type=azblob', /type "azblob"/],
    ];
    for (const [text, message] of wrong) {
      assert.throws(
        () => parseCacheTarget(fields(text), NONE),
        (error) => error instanceof TsbuildError && error.code === 'ERR_TSBUILD_USAGE' && message.test(error.message),
        text,
      );
    }
  });
});

describe('parseCacheSource()', () => {
  test('reads places, and mounts', () => {
    assert.deepEqual(given(parseCacheSource(fields('type=registry,ref=a,mounts=true'), NONE)), {
      type: 'registry',
      ref: 'a',
      mounts: true,
    });
    const digest = `sha256:${'a'.repeat(64)}`;
    assert.deepEqual(given(parseCacheSource(fields(`type=local,src=d,digest=${digest}`), NONE)), { type: 'local', src: 'd', digest });
  });

  test('has no attributes of exports, and no inline', () => {
    assert.throws(() => parseCacheSource(fields('type=registry,ref=a,mode=max'), NONE), /no attribute "mode"/);
    assert.throws(() => parseCacheSource(fields('type=inline'), NONE), /inline for --cache-from/);
    assert.throws(() => parseCacheSource(fields('type=local,src=d,digest=sha256:1'), NONE), /as the digest/);
  });
});
