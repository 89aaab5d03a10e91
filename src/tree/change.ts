/**
 * A changeset as a stream of changes: what an overlay diff, a COPY or a layer archive yields, and what a layer writer or
 * a snapshot takes. Source: OCI image-spec layer.md "Change Types".
 * Order: a directory before what is in it, siblings in byte order, `opaque` right after its directory.
 */
import type { ByteString } from './byte-string.ts';
import type { FileNode, Xattrs } from './file-tree.ts';

export type Change = AddChange | DeleteChange | OpaqueChange;

/** The path is there now, with exactly this metadata. */
export interface AddChange {
  readonly kind: 'add';
  readonly path: ByteString;
  readonly node: FileNode;
  readonly xattrs: Xattrs;
  /** An earlier path of the same changeset whose inode this is; then there is no content. */
  readonly hardLinkTo?: ByteString;
  /** Of a regular file that is no hard link: exactly `node.size` bytes. May be read once. */
  readonly content?: Content;
}

/** The path of a lower layer is gone (whiteout). */
export interface DeleteChange {
  readonly kind: 'delete';
  readonly path: ByteString;
}

/** Everything that lower layers have in this directory is gone (opaque whiteout). */
export interface OpaqueChange {
  readonly kind: 'opaque';
  readonly path: ByteString;
}

/** Either a file to open (the reader closes the descriptor) or bytes that arrive in order with an archive. */
export type Content =
  | { readonly kind: 'file'; open(): number }
  | { readonly kind: 'stream'; chunks(): AsyncIterable<Buffer> }
  | { readonly kind: 'bytes'; readonly bytes: Buffer };

export type Changeset = Iterable<Change> | AsyncIterable<Change>;
