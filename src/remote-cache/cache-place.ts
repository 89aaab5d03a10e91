/** Where caches of builds are, and what goes there: closed sets of plain values, one shape for each `type` of `--cache-from` and `--cache-to`. */
import type { CompressionType } from '../layers/compress.ts';

/** What a build may use. */
export type CacheSource = (RegistryPlace | LocalSource | S3Place | GithubPlace) & SourceAttributes;

/** Where a build leaves its own. */
export type CacheTarget =
  | (RegistryPlace & TargetAttributes)
  | (LocalTarget & TargetAttributes)
  | (S3Place & S3Attributes & TargetAttributes)
  | (GithubPlace & TargetAttributes)
  | InlineTarget;

export interface SourceAttributes {
  /** Contents of cache mounts, too, where the mount is empty here. */
  readonly mounts?: boolean | undefined;
}

export interface TargetAttributes {
  /** `min`, the default: the layers of the result; `max`: what all steps left. */
  readonly mode?: 'min' | 'max' | undefined;
  /** Of layers that are packed for it; by default gzip. */
  readonly compression?: CompressionType | undefined;
  readonly compressionLevel?: number | undefined;
  /** Layers that came from a remote cache and are not unpacked are packed anew where their form is another. */
  readonly forceCompression?: boolean | undefined;
  /** Contents of the cache mounts that the build names, too. */
  readonly mounts?: boolean | undefined;
  /** A failure is a warning. */
  readonly ignoreError?: boolean | undefined;
}

/** A repository of a registry. */
export interface RegistryPlace {
  readonly type: 'registry';
  readonly ref: string;
  /** Speak plain HTTP. */
  readonly insecure?: boolean | undefined;
}

/** In the config of the image itself, so it goes where that goes; imported as `registry` from the name of the image. */
export interface InlineTarget {
  readonly type: 'inline';
}

/** An OCI layout in a directory. */
export interface LocalSource {
  readonly type: 'local';
  readonly src: string;
  /** By default `latest`. */
  readonly tag?: string | undefined;
  /** Of the manifest; beats `tag`. */
  readonly digest?: string | undefined;
}

export interface LocalTarget {
  readonly type: 'local';
  readonly dest: string;
  /** By default `latest`. */
  readonly tag?: string | undefined;
  /** What the directory held before is removed when the new cache is there. */
  readonly reset?: boolean | undefined;
}

/** Objects of a bucket: `<prefix><manifestsPrefix><name>`, `<prefix><blobsPrefix><digest>`. */
export interface S3Place {
  readonly type: 's3';
  /** By default `$AWS_BUCKET`. */
  readonly bucket: string;
  /** By default `$AWS_REGION`. */
  readonly region: string;
  /** By default `buildkit`; of several all are written, and all are read. */
  readonly names?: readonly string[] | undefined;
  readonly prefix?: string | undefined;
  readonly blobsPrefix?: string | undefined;
  readonly manifestsPrefix?: string | undefined;
  /** Of another server than AWS. */
  readonly endpointUrl?: string | undefined;
  /** The bucket in the path and not in the host's name. */
  readonly usePathStyle?: boolean | undefined;
  /** By default `$AWS_ACCESS_KEY_ID`, `$AWS_SECRET_ACCESS_KEY` and `$AWS_SESSION_TOKEN`. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly sessionToken?: string | undefined;
}

export interface S3Attributes {
  /** Blobs that are older are touched, so that a rule which removes old ones keeps them; by default a day. */
  readonly touchRefreshMs?: number | undefined;
  /** By default 4. */
  readonly uploadParallelism?: number | undefined;
}

/** The cache service of GitHub Actions. */
export interface GithubPlace {
  readonly type: 'gha';
  /** By default `buildkit`. */
  readonly scope?: string | undefined;
  /** Of the service's first version; by default `$ACTIONS_CACHE_URL`. */
  readonly url?: string | undefined;
  /** Of its second version; by default `$ACTIONS_RESULTS_URL`. */
  readonly urlV2?: string | undefined;
  /** By default `$ACTIONS_RUNTIME_TOKEN`. */
  readonly token?: string | undefined;
  /** 1 or 2; by default 2 where `$ACTIONS_CACHE_SERVICE_V2` says so, or no other address is known. */
  readonly version?: 1 | 2 | undefined;
  /** For one transfer; by default ten minutes. */
  readonly timeoutMs?: number | undefined;
}

/** As messages show it: nothing secret. */
export function shownPlace(place: CacheSource | CacheTarget): string {
  switch (place.type) {
    case 'registry':
      return `registry ${place.ref}`;
    case 'inline':
      return 'inline';
    case 'local':
      return `local ${'src' in place ? place.src : place.dest}`;
    case 's3':
      return `s3 ${place.bucket}/${place.prefix ?? ''}`;
    case 'gha':
      return `gha ${place.scope ?? 'buildkit'}`;
  }
}
