/** What the execution of a plan needs from its caller: open resources, and the choices that do not belong to the plan. */
import type { MaterialLog } from '../../attestations/materials.ts';
import type { BuildCache } from '../../cache/build-cache.ts';
import type { StepImports } from '../../cache/portable-step.ts';
import type { StatIndex } from '../../cache/stat-index.ts';
import type { Emit } from '../../events.ts';
import type { Image } from '../../images/image.ts';
import type { CgroupMaker } from '../../sandbox/cgroup/step-cgroup.ts';
import type { Isolation } from '../../sandbox/chroot-isolation.ts';
import type { DnsSettings } from '../../sandbox/network/dns-settings.ts';
import type { HostEntry } from '../../sandbox/network/hosts-file.ts';
import type { NetworkPool } from '../../sandbox/network/network-pool.ts';
import type { ContainerResources } from '../../sandbox/resource-limits.ts';
import type { StepUserNamespace } from '../../sandbox/user-namespace/step-user-namespace.ts';
import type { ActiveSnapshot, Snapshotter } from '../../snapshots/snapshotter.ts';
import type { Store } from '../../store/open-store.ts';
import type { ByteString } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import type { ImageSource } from '../plan/build-plan.ts';
import type { JobSlots } from './job-slots.ts';
import type { LayerPacking } from './layer-packing.ts';
import type { OutputLimits } from './output-limit.ts';
import type { Packing } from './pack-snapshot.ts';
import type { UsedMounts } from './used-mounts.ts';
import type { UsedSteps } from './used-steps.ts';

export interface BuildResources {
  readonly store: Store;
  readonly snapshots: Snapshotter;
  readonly cache: BuildCache;
  /** Remote caches that the build was told to use. */
  readonly imports?: StepImports | undefined;
  /** Notes what steps left, where that is to be exported. */
  readonly used?: UsedSteps | undefined;
  readonly usedMounts?: UsedMounts | undefined;
  /** Names of snapshots whose layer turned out to be none. */
  readonly unusable: Set<string>;
  readonly contexts: BuildContexts;
  readonly secrets: Secrets;
  readonly ssh: SshAgents;
  /** What steps took from elsewhere. */
  readonly materials: MaterialLog;
  /** A base image, its layers in the store. `files`: some step reads them, so they may be unpacked as they come. */
  loadBase(source: ImageSource, use: 'files' | 'layers'): Promise<Image>;
  /** Opened on the first step that wants a network. */
  networks(): NetworkPool;
  /** What steps work on; found at the first call, by means of the active snapshot. */
  workingTrees(active: ActiveSnapshot): Promise<'overlay' | 'copy'>;
  /** How steps are kept apart from the machine. */
  readonly isolation: Isolation;
  /** A warning that every step may have reason for. */
  warnOnce(message: string): void;
  /** Makes control groups for containers that have limits. */
  cgroups(): CgroupMaker;
  /** The one of steps, where their ids are mapped; undefined where they share tsbuild's. Throws PRIVILEGE. */
  userNamespace(): StepUserNamespace | undefined;
  readonly deadline: BuildDeadline;
  readonly packing: LayerPacking;
  readonly options: ExecuteOptions;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** The end of the time that the whole build has. */
export interface BuildDeadline {
  /** Aborted when time is up. */
  readonly expired: AbortSignal;
  /** Why a step was stopped then. */
  readonly reason: string;
  /** Nothing is aborted for want of time before it is disposed, nor after it was told: a step says better what took so long. */
  hold(): Disposable & { tell(): void };
}

/** Files that no step made: the main build context and the named ones. */
export interface BuildContexts {
  /** `name`: as in a plan's `StepSource`; undefined: the main one. Opened by the first call, and open until the build ends. */
  open(name: string | undefined): Promise<BuildContext>;
}

/** SSH agents that the caller gave for RUN --mount=type=ssh and for git. */
export interface SshAgents {
  /** Path of an agent's socket; undefined where the caller gave none of that id. Throws SECRET_INVALID. */
  socketOf(id: string): Promise<string | undefined>;
}

/** Values that the caller gave for RUN --mount=type=secret and for sources that want a password. They go into no key, message or event. */
export interface Secrets {
  /** undefined where the caller gave none of that id. Throws SECRET_INVALID. */
  read(id: string): Buffer | undefined;
}

export interface BuildContext {
  readonly tree: FileTree;
  /** Digests of its files from earlier builds; undefined where its files are new each time. */
  readonly known: StatIndex | undefined;
  /** Why a path is not there, such as `not in the build context`. */
  why(path: ByteString): string;
}

export interface ExecuteOptions {
  /** `ignore`: every step runs; its result is still recorded. */
  readonly cache: 'use' | 'ignore';
  /** Stages whose steps run, whatever `cache` says: names or numbers. */
  readonly uncachedStages: readonly string[];
  /** Events say why steps miss. */
  readonly explain: boolean;
  /** Names what is built: steps of the same place are compared with each other. */
  readonly place: string;
  readonly network: 'default' | 'none' | 'host';
  /** Lines of /etc/hosts beside its own. */
  readonly addHosts: readonly HostEntry[];
  readonly dns: DnsSettings;
  /** What each step may use. */
  readonly limits: ContainerResources;
  /** What is shown of a step's output. */
  readonly outputLimits: OutputLimits;
  /** For the command of each RUN. */
  readonly stepTimeoutMs: number | undefined;
  /** Of all stages and platforms. */
  readonly jobs: JobSlots;
  /** How layers will be wanted: those of the target are packed while later steps run. */
  readonly packings: readonly Packing[];
}
