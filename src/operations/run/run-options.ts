/** What `tsbuild run` can be asked for. */
import type { DnsSettings } from '../../sandbox/network/dns-settings.ts';
import type { ResourceLimits } from '../../sandbox/resource-limits.ts';
import type { RunningCommand } from '../../sandbox/run-container.ts';
import type { TerminalResizes } from '../../sandbox/terminal-stdio.ts';
import type { CommonOptions } from '../../session.ts';
import type { PublishedPort } from './container-record.ts';

export interface RunOptions extends CommonOptions {
  /** The image. */
  readonly name: string;
  /** Takes the place of the image's Cmd. */
  readonly argv?: readonly string[] | undefined;
  /** `NAME=value` each. */
  readonly env?: readonly string[] | undefined;
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
  /** Takes the place of the image's Entrypoint, and of its Cmd. */
  readonly entrypoint?: string | undefined;
  /** `container:NAME` is that of a container that runs. */
  readonly network?: 'private' | 'none' | 'host' | `container:${string}` | undefined;
  /** What the container may use. */
  readonly limits?: ResourceLimits | undefined;
  /** `inherit` copies this process's standard input. By default `empty`. */
  readonly stdin?: 'empty' | 'inherit' | undefined;
  /** The command gets a terminal, and all of its output is `stdout`. */
  readonly terminal?: { readonly columns: number; readonly rows: number; readonly resizes?: TerminalResizes } | undefined;
  /** Of the container; by default the beginning of its id. */
  readonly containerName?: string | undefined;
  /** By default the beginning of its id. */
  readonly hostname?: string | undefined;
  readonly mounts?: readonly ContainerMount[] | undefined;
  /** Of this machine: a path, or a name such as `vendor.com/class=name`. */
  readonly devices?: readonly ContainerDevice[] | undefined;
  /** Of the root file system; mounts have their own. */
  readonly rootAccess?: 'read-only' | 'read-write' | undefined;
  /** Such as `NET_ADMIN`, or `ALL`. */
  readonly capAdd?: readonly string[] | undefined;
  readonly capDrop?: readonly string[] | undefined;
  readonly seccomp?: 'default' | 'unconfined' | undefined;
  readonly newPrivileges?: 'none' | undefined;
  /** `insecure`: with all that this process may do itself. */
  readonly security?: 'sandbox' | 'insecure' | undefined;
  readonly dns?: DnsSettings | undefined;
  /** An OCI runtime such as `runc`, by name or path, that makes the container instead of tsbuild. */
  readonly runtime?: string | undefined;
  /** `name:address` each. */
  readonly addHosts?: readonly string[] | undefined;
  /** Host port 0 is any that is free. */
  readonly publish?: readonly PublishedPort[] | undefined;
  /** Also every port that the image exposes, each on any that is free. */
  readonly publishAll?: 'exposed' | undefined;
  /** `always` asks the registry for a newer image, `never` asks it for nothing. By default `missing`. */
  readonly pull?: 'always' | 'missing' | 'never' | undefined;
  /** Linux platform such as `linux/arm64`; by default this machine's. */
  readonly platform?: string | undefined;
  /** Where output is kept, beside `onOutput`, and how long with the record. By default there is no log, and nothing stays. */
  readonly log?: 'until removed' | 'until it ends' | undefined;
  onOutput(stream: 'stdout' | 'stderr', data: Uint8Array): void;
  /** Called once the command runs. */
  onStarted?: ((container: RunningContainer) => void) | undefined;
}

/** What a run is, whoever listens to it. */
export type SilentOptions = Omit<RunOptions, 'onOutput' | 'onStarted' | 'log'>;

export interface RunningContainer extends RunningCommand {
  readonly id: string;
}

export type ContainerMount =
  /** A file or directory of this machine. */
  | { readonly type: 'bind'; readonly source: string; readonly target: string; readonly access: 'read-only' | 'read-write' }
  | {
      readonly type: 'tmpfs';
      readonly target: string;
      readonly bytes?: number | undefined;
      readonly mode?: number | undefined;
      readonly access?: 'read-only' | 'read-write' | undefined;
      /** By default `never`. */
      readonly execute?: 'never' | 'allowed' | undefined;
    };

/** `target` is where the container has it, by default the same path; a device by name brings its own. */
export type ContainerDevice = { readonly path: string; readonly target?: string | undefined } | { readonly name: string };

/** Exactly one of the two is set. */
export interface RunResult {
  readonly exitCode?: number;
  readonly signal?: string;
  /** The kernel killed a process of it for want of memory: its own limit, or the `machine`'s. */
  readonly outOfMemory?: 'limit' | 'machine';
}
