/** Manifests and indexes. Source: OCI image-spec manifest.md, image-index.md. */
import type { Descriptor } from './descriptor.ts';

export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** What it is, where that is no container image. */
  readonly artifactType?: string;
  /** The manifest that it is about: it is one of that one's referrers. */
  readonly subject?: Descriptor;
}

export interface ImageIndex {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** What it is, where that is no container image. */
  readonly artifactType?: string;
  /** The manifest that it is about: it is one of that one's referrers. */
  readonly subject?: Descriptor;
}
