/** What can be done with a finished build: a closed set of plain values, one shape for each `type` of `--output`. */
import type { Writable } from 'node:stream';
import type { SigningKey } from '../attestations/signing/signing-key.ts';
import type { Emit } from '../events.ts';
import type { AssembledImage } from '../images/assembled-image.ts';
import type { ImageAnnotation } from '../images/image-format.ts';
import type { CompressionType } from '../layers/compress.ts';
import type { Platform } from '../oci/platform.ts';
import type { RegistryClient } from '../registry/registry-client.ts';
import type { RetryOptions } from '../registry/retry.ts';
import type { Store } from '../store/open-store.ts';
import type { FileTree } from '../tree/file-tree.ts';

export type Output = ImageOutput | ArchiveOutput | LocalOutput | TarOutput | CacheOnlyOutput;

/** What all outputs have that are an image. */
export interface ImageAttributes {
  /** Such as `app:1`; by default the tags of the build. */
  readonly names?: readonly string[] | undefined;
  /** Of layers that are made; by default gzip. */
  readonly compression?: CompressionType | undefined;
  readonly compressionLevel?: number | undefined;
  /** Compress layers of the base image anew where they are compressed in another way. */
  readonly forceCompression?: boolean | undefined;
  /** false: the media types of Docker's image manifest version 2, schema 2. */
  readonly ociMediaTypes?: boolean | undefined;
  /** Files of layers that are made are not later than the source date epoch. */
  readonly rewriteTimestamp?: boolean | undefined;
  /** In the place of the build's SOURCE_DATE_EPOCH; seconds since 1970. */
  readonly sourceDateEpoch?: number | undefined;
  /** Beside those of the build. */
  readonly annotations?: readonly ImageAnnotation[] | undefined;
  /** false: without the attestations that are for images only. */
  readonly attestationInline?: boolean | undefined;
  /** Attestations as manifests with a subject, as image-spec 1.1 has them. */
  readonly ociArtifact?: boolean | undefined;
}

/** Into the local store. `registry` is the same, pushed. */
export interface ImageOutput extends ImageAttributes {
  readonly type: 'image' | 'registry';
  readonly push?: boolean | undefined;
  /** Push it without a tag: names are repositories then, and the store gives none. */
  readonly pushByDigest?: boolean | undefined;
  /** false: the store keeps the image without a name. */
  readonly store?: boolean | undefined;
  /** Speak plain HTTP with the registries of its names. */
  readonly insecure?: boolean | undefined;
}

/** One file that holds an OCI layout, which `docker load` reads, too; with `tar: false` the layout itself. */
export interface ArchiveOutput extends ImageAttributes {
  readonly type: 'oci' | 'docker';
  /** A path; `-` is the `stdout` of the build, and the default of `oci`. `docker` without one is loaded by a Docker daemon. */
  readonly dest?: string | undefined;
  readonly tar?: boolean | undefined;
}

/** The files of the target stage in a directory. */
export interface LocalOutput extends SplitAttributes {
  readonly type: 'local';
  readonly dest: string;
  /** `delete`: what is not in the result is removed from `dest`. */
  readonly mode?: 'copy' | 'delete' | undefined;
}

/** The files of the target stage as a tar. */
export interface TarOutput extends SplitAttributes {
  readonly type: 'tar';
  /** A path, or `-`, the default. */
  readonly dest?: string | undefined;
}

interface SplitAttributes {
  /** Of the names of files that hold attestations. */
  readonly attestationPrefix?: string | undefined;
  /** A directory for each platform, such as `linux_amd64`; by default where there are several platforms. */
  readonly platformSplit?: boolean | undefined;
}

/** Nothing: the build only fills the cache. */
export interface CacheOnlyOutput {
  readonly type: 'cacheonly';
}

/** What an exporter takes: the build's result, in each form made at the first call and once. */
export interface BuiltResult {
  /** In the store. */
  image(output: ImageOutput | ArchiveOutput): Promise<AssembledImage>;
  /** The files of each target stage; the caller disposes of the trees. */
  trees(output: LocalOutput | TarOutput): Promise<readonly PlatformTree[]>;
}

export interface PlatformTree {
  readonly platform: Platform;
  readonly tree: FileTree & Disposable;
  /** Files beside those of the tree, in its root: attestations. */
  readonly more?: readonly TreeFile[] | undefined;
}

export interface TreeFile {
  readonly name: string;
  readonly bytes: Buffer;
  /** Its time, since 1970. */
  readonly seconds: number;
}

export interface ExportSession {
  readonly store: Store;
  readonly registry: RegistryClient;
  /** For another client. */
  readonly retry: RetryOptions;
  readonly emit: Emit;
  readonly signal: AbortSignal;
  /** Signs what is pushed. */
  readonly signer: SigningKey | undefined;
  /** Where outputs to `-` go. */
  readonly stdout: Writable | undefined;
}

/** One kind of output: how it is written on the command line, and how it is made. */
export interface Exporter<O extends Output> {
  /** Names of its attributes, beside `type`; one that ends with a dot is the start of a name. */
  readonly attributes: readonly string[];
  parse(fields: OutputFields): O;
  /** Throws USAGE for values that contradict each other, before anything runs. */
  check?(output: O, build: { readonly tags: readonly string[]; readonly isIndex: boolean }): void;
  /** Resolves to the image, where the output is one. What fails leaves nothing behind. */
  run(session: ExportSession, result: BuiltResult, output: O): Promise<AssembledImage | undefined>;
}

/** The attributes of one `--output`, read by name and type. All but `text` throw USAGE. */
export interface OutputFields {
  readonly type: string;
  text(name: string): string | undefined;
  needed(name: string): string;
  boolean(name: string): boolean | undefined;
  /** A number without sign or fraction. */
  whole(name: string): number | undefined;
  choice<T extends string>(name: string, choices: readonly T[]): T | undefined;
  list(name: string): string[] | undefined;
  /** Attributes with names of this form, in their order. */
  matching(pattern: RegExp): { readonly match: RegExpExecArray; readonly value: string }[];
}
