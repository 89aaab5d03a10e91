/**
 * What one RUN gets, as plain data: everything that the kernel will be asked for is decided here, before any system call.
 * All strings are text (UTF-8 when they reach the kernel) without NUL bytes; paths inside the container are absolute.
 */

import type { CgroupLimits } from './cgroup/cgroup-limits.ts';
import type { Rlimit } from './rlimits.ts';

export interface ContainerSpec {
  readonly rootfs: OverlayRootfs | DirectoryRootfs | MachineRootfs;
  /**
   * `chroot`: only the root directory is its own, which is a `DirectoryRootfs`. It has no mounts, nor a host name, and of namespaces
   * at most a network without anything in it; what it starts is found and killed at its end.
   */
  readonly isolation?: 'chroot';
  /** In order. Targets exist in the root file system, made by the caller, or are made inside an earlier mount. */
  readonly mounts: readonly MountSpec[];
  readonly process: ProcessSpec;
  readonly hostname: string;
  /** Names such as `CAP_CHOWN`: bounding, permitted and effective set for root, bounding set only for others. */
  readonly capabilities: readonly string[];
  readonly seccomp: 'default' | 'unconfined';
  /** `standard`: the six of every container. `any`: whatever node there is in the root file system or is made there. */
  readonly devices: 'standard' | 'any';
  /** Paths of /proc and /sys that read as empty; those that the kernel does not have are left out. */
  readonly maskedPaths: readonly MaskedPath[];
  /** Paths of /proc and /sys that cannot be written. */
  readonly readonlyPaths: readonly string[];
  readonly network: 'private' | 'none' | 'host';
  /** Of the root file system; mounts have their own. By default `read-write`. */
  readonly rootAccess?: MountAccess;
  /** Where the step's root is not the machine's: no device node can be made there. */
  readonly userNamespace?: SharedUserNamespace | MappedUserNamespace;
  /** What all its processes together may use; by default no more limits than the caller has. */
  readonly limits?: CgroupLimits;
}

/** The one that tsbuild itself is in: with `one` id no file or process belongs to anybody but root. */
export interface SharedUserNamespace {
  readonly ids: 'all' | 'one';
  /** The step sees the /proc that tsbuild sees, since the kernel gives it none of its own. */
  readonly proc?: 'outer';
}

/** One of steps alone, while tsbuild is the machine's root: their ids from 0 on are the machine's from `mapped.first` on. */
export interface MappedUserNamespace {
  readonly ids: 'all';
  readonly proc?: 'own';
  readonly mapped: {
    readonly first: number;
    /** The directory of the machine that has the root file system and all layers; its files keep the owners that the step sees. */
    readonly files: string;
  };
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

/** The machine's own, as it is: for a program of the machine, and no step. `scratch` is an empty directory to mount on. */
export interface MachineRootfs {
  readonly machine: 'whole';
  readonly scratch: string;
}

/** Layers that are seen as one tree; paths are relative to `cwd`, the top one first. */
export interface LayerStack {
  readonly cwd: string;
  readonly lower: readonly string[];
  /** Takes what is written; without it the tree is read-only. */
  readonly writable?: { readonly upper: string; readonly work: string };
}

export type MountAccess = 'read-only' | 'read-write';

export interface FileOwner {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A mount's target lies in the mount before it at `inside`: what is missing of the way from there is made first. */
export interface TargetToMake {
  readonly inside: string;
  readonly type: 'file' | 'directory';
}

/** A node of /dev: `name` is relative to it. */
export interface DeviceNode {
  readonly name: string;
  readonly type: 'char' | 'block';
  readonly major: number;
  readonly minor: number;
}

export type MountSpec = MountKind & { readonly target: string; readonly make?: TargetToMake };

type MountKind =
  | { readonly kind: 'proc' | 'mqueue' }
  /** Read-only unless it says otherwise. */
  | { readonly kind: 'sysfs' | 'cgroup2'; readonly access?: MountAccess }
  /** A tmpfs with the device nodes, links, pts and shm that every container has, and more nodes where wanted. */
  | { readonly kind: 'dev'; readonly shmBytes: number; readonly more?: readonly DeviceNode[] }
  | { readonly kind: 'tmpfs'; readonly bytes?: number; readonly mode?: number; readonly access?: MountAccess; readonly execute?: 'never' }
  /** A file or directory of the host, or what is at `source` inside it whatever links there are: nosuid, nodev. */
  | {
      readonly kind: 'bind';
      readonly hostPath: string;
      readonly source?: string;
      readonly access: MountAccess;
      /** By default `directory`. */
      readonly type?: 'file' | 'directory';
      readonly execute?: 'never';
    }
  /** What is at `source` in a stack of layers, found inside it whatever links there are: nosuid, nodev. */
  | {
      readonly kind: 'layers';
      readonly layers: LayerStack;
      readonly source: string;
      readonly type: 'file' | 'directory';
      readonly access: MountAccess;
    }
  /**
   * A device node, the only one that opens there: made, or, in a user namespace, the machine's at `hostPath`. By default it is the
   * command's user's. nosuid, noexec.
   */
  | {
      readonly kind: 'device';
      readonly hostPath: string;
      readonly type: DeviceNode['type'];
      readonly major: number;
      readonly minor: number;
      /** Permission bits. */
      readonly mode: number;
      readonly uid?: number;
      readonly gid?: number;
    }
  /** A single file of the host, read-only, noexec. */
  | { readonly kind: 'file'; readonly hostPath: string }
  /** A read-only file with this content, which lives in memory only. */
  | { readonly kind: 'text'; readonly text: string; readonly mode?: number }
  /** The same of bytes in base64, with an owner; it can be executed where its mode says so. */
  | { readonly kind: 'bytes'; readonly bytes: string; readonly owner: FileOwner }
  /** The resolv.conf that belongs to the step's network, read-only. */
  | { readonly kind: 'resolver' };

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
  /** Those that differ from the caller's; none is above the caller's hard limit. */
  readonly rlimits?: readonly Rlimit[];
  /** `none`: setuid programs and file capabilities give nothing (PR_SET_NO_NEW_PRIVS). By default they do. */
  readonly newPrivileges?: 'none';
  /** The command's standard streams are a terminal of the container's own, of this size at first; otherwise pipes. */
  readonly terminal?: TerminalSize;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface MaskedPath {
  readonly path: string;
  readonly type: 'file' | 'directory';
}
