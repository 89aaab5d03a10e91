/** The image config and its history. Source: OCI image-spec config.md; fields marked docker are Docker's extensions, written because peers read them. */
import type { Digest } from './digest.ts';

export interface ContainerConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, Record<string, never>>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  /** docker: set by every CMD. */
  readonly ArgsEscaped?: boolean;
  readonly Volumes?: Readonly<Record<string, Record<string, never>>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  /** docker */
  readonly Shell?: readonly string[];
  /** docker */
  readonly OnBuild?: readonly string[];
  /** docker; durations in nanoseconds. */
  readonly Healthcheck?: Readonly<Record<string, unknown>>;
}

export interface HistoryEntry {
  /** RFC 3339. */
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

export interface ImageConfig {
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly config?: ContainerConfig;
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] };
  readonly history?: readonly HistoryEntry[];
}
