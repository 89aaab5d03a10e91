/** What the execution of a plan needs from its caller: open resources, and the choices that do not belong to the plan. */
import type { LimitFunction } from 'p-limit';
import type { BuildCache } from '../../cache/build-cache.ts';
import type { StatIndex } from '../../cache/stat-index.ts';
import type { DirectoryContext } from '../../context/directory-context.ts';
import type { Emit } from '../../events.ts';
import type { Image } from '../../images/image.ts';
import type { HostEntry } from '../../sandbox/network/hosts-file.ts';
import type { NetworkPool } from '../../sandbox/network/network-pool.ts';
import type { Snapshotter } from '../../snapshots/snapshotter.ts';
import type { Store } from '../../store/open-store.ts';

export interface BuildResources {
  readonly store: Store;
  readonly snapshots: Snapshotter;
  readonly cache: BuildCache;
  readonly context: BuildContext;
  /** Resolves and, where needed, pulls a base image. Asked once per reference and build. */
  loadBase(reference: string): Promise<Image>;
  /** Opened on the first step that wants a network. */
  networks(): NetworkPool;
  readonly options: ExecuteOptions;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

/** The build context and what is remembered of its files; opened on the first COPY that reads it. */
export interface BuildContext {
  tree(): DirectoryContext;
  known(): StatIndex;
}

export interface ExecuteOptions {
  /** `ignore`: every step runs; its result is still recorded. */
  readonly cache: 'use' | 'ignore';
  readonly network: 'default' | 'none' | 'host';
  /** Lines of /etc/hosts beside its own. */
  readonly addHosts: readonly HostEntry[];
  /** At most this many steps run at once. */
  readonly limit: LimitFunction;
}
