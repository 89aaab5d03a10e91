/**
 * What one RUN gets, as plain data: everything that the kernel will be asked for is decided here, before any system call.
 * All strings are text (UTF-8 when they reach the kernel) without NUL bytes; paths inside the container are absolute.
 */

export interface ContainerSpec {
  readonly rootfs: OverlayRootfs | DirectoryRootfs;
  /** In order. Targets exist in the root file system: the caller has made them. */
  readonly mounts: readonly MountSpec[];
  readonly process: ProcessSpec;
  readonly hostname: string;
  /** Names such as `CAP_CHOWN`: bounding, permitted and effective set for root, bounding set only for others. */
  readonly capabilities: readonly string[];
  readonly seccomp: 'default' | 'unconfined';
  /** Paths of /proc and /sys that read as empty; those that the kernel does not have are left out. */
  readonly maskedPaths: readonly MaskedPath[];
  /** Paths of /proc and /sys that cannot be written. */
  readonly readonlyPaths: readonly string[];
  readonly network: 'private' | 'none' | 'host';
}

/** An overlay mount; paths are relative to `cwd` so that many layers fit into the 4 KiB of mount options. */
export interface OverlayRootfs {
  readonly cwd: string;
  /** Top first. */
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
  /** An empty directory to mount on; the mount is seen by the container only. */
  readonly merged: string;
}

/** A directory of the host as it is. */
export interface DirectoryRootfs {
  readonly directory: string;
}

export type MountSpec =
  | { readonly kind: 'proc' | 'sysfs' | 'cgroup2' | 'mqueue'; readonly target: string }
  /** A tmpfs with the device nodes, links, pts and shm that every container has. */
  | { readonly kind: 'dev'; readonly target: string; readonly shmBytes: number }
  | { readonly kind: 'tmpfs'; readonly target: string; readonly bytes?: number; readonly mode?: number }
  /** A file or directory of the host: nosuid, nodev. */
  | { readonly kind: 'bind'; readonly target: string; readonly hostPath: string; readonly access: 'read-only' | 'read-write' }
  /** A single file of the host, read-only, noexec. */
  | { readonly kind: 'file'; readonly target: string; readonly hostPath: string }
  /** A read-only file with this content, which lives in memory only. */
  | { readonly kind: 'text'; readonly target: string; readonly text: string; readonly mode?: number }
  /** The resolv.conf that belongs to the step's network, read-only. */
  | { readonly kind: 'resolver'; readonly target: string };

export interface ProcessSpec {
  readonly argv: readonly string[];
  /** The whole environment, `NAME=value` each. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, `gid` among them. */
  readonly groups: readonly number[];
  readonly umask: number;
}

export interface MaskedPath {
  readonly path: string;
  readonly type: 'file' | 'directory';
}
