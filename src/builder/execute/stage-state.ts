/** Where a stage has got to: plain values, a new one after each instruction. */
import type { CacheKey } from '../../cache/cache-key.ts';
import type { ContainerConfig, HistoryEntry } from '../../oci/image-config.ts';
import type { Platform } from '../../oci/platform.ts';
import type { Files, LayerSource } from './files.ts';

export interface StageState {
  /** What RUN runs as. */
  readonly platform: Platform;
  /** What the config of the image will say. */
  readonly imagePlatform: Platform;
  readonly config: ContainerConfig;
  readonly author: string | undefined;
  /** ENV and ARG values as RUN and expansion see them: the later instruction wins. */
  readonly variables: ReadonlyMap<string, string>;
  /** ARGs declared in this stage that have a value, for history. */
  readonly args: ReadonlyMap<string, string>;
  /** Identity of `files`: the snapshot's name, or a base image's key. */
  readonly key: CacheKey;
  readonly files: Files;
  /** What `files` came from, for telling a miss. */
  readonly origin: FilesOrigin;
  readonly layers: readonly LayerSource[];
  /** One entry per layer, and `empty_layer` ones between; `created` is filled in when the image is assembled. */
  readonly history: readonly HistoryEntry[];
  /** CMD was given in this stage, so that ENTRYPOINT keeps it. */
  readonly hasOwnCmd: boolean;
}

export interface FilesOrigin {
  /** A step or image as it is shown. */
  readonly name: string;
  /** Of an image's manifest; undefined where a step made the files. */
  readonly digest?: string;
  /** A step made them in this build. */
  readonly isNew: boolean;
}

/** The variable as expansion sees it. */
export function variableOf(state: StageState): (name: string) => string | undefined {
  return (name) => state.variables.get(name);
}
