/** OCI layouts that no honest builder writes: every document can be replaced, every digest and size lied about. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { digestOf } from '../../../src/oci/digest.ts';

export const TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly [other: string]: unknown;
}
type Document = Record<string, unknown>;

/** Each function gets the honest value and gives what is written in its place. */
export interface Lies {
  readonly layers?: readonly Buffer[];
  readonly config?: (honest: Document) => Document;
  readonly manifest?: (honest: Document) => Document | string;
  /** The manifest's descriptor in index.json. */
  readonly entry?: (honest: Descriptor) => Descriptor;
  readonly index?: (honest: Document) => Document | string;
}

/** A layout in a new directory below `parent`. */
export class Layout {
  readonly directory: string;

  constructor(parent: string) {
    this.directory = mkdtempSync(path.join(parent, 'layout-'));
    mkdirSync(this.blobs, { recursive: true });
    writeFileSync(path.join(this.directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  }

  get blobs(): string {
    return path.join(this.directory, 'blobs/sha256');
  }

  /** The file of a blob that was put here. */
  file(digest: string): string {
    return path.join(this.blobs, digest.slice('sha256:'.length));
  }

  put(content: Buffer | string | Document, mediaType: string): Descriptor {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
    const digest = digestOf(bytes);
    writeFileSync(this.file(digest), bytes);
    return { mediaType, digest, size: bytes.length };
  }

  writeIndex(content: Document | string): void {
    writeFileSync(path.join(this.directory, 'index.json'), typeof content === 'string' ? content : JSON.stringify(content));
  }

  /** One image with the lies in it. Returns the descriptor of its manifest. */
  image({ layers = [], config = same, manifest = same, entry = same, index = same }: Lies): Descriptor {
    const blobs = layers.map((layer) => this.put(layer, TYPES.layer));
    const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
    const rootfs = { type: 'layers', diff_ids: blobs.map(({ digest }) => digest) };
    const about = this.put(config({ architecture, os: 'linux', config: { Env: ['PATH=/bin'] }, rootfs }), TYPES.config);
    const honest = { schemaVersion: 2, mediaType: TYPES.manifest, config: about, layers: blobs };
    const made = entry(this.put(manifest(honest), TYPES.manifest));
    this.writeIndex(index({ schemaVersion: 2, mediaType: TYPES.index, manifests: [made] }));
    return made;
  }
}

function same<T>(value: T): T {
  return value;
}
