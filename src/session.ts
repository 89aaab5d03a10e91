/** What one call of the library holds open, each part opened when first needed; disposing closes all of it. */
import path from 'node:path';
import { type LayerPacking, openLayerPacking } from './builder/execute/layer-packing.ts';
import { type BuildCache, openBuildCache } from './cache/build-cache.ts';
import { defaultRoot } from './default-root.ts';
import { TsbuildError } from './errors.ts';
import type { Emit } from './events.ts';
import { type Platform, platformOf } from './oci/platform.ts';
import { openRegistryClient, type RegistryClient } from './registry/registry-client.ts';
import type { RetryOptions } from './registry/retry.ts';
import { removeDeadCgroups } from './sandbox/cgroup/cgroup-records.ts';
import { type CgroupMaker, openCgroups } from './sandbox/cgroup/step-cgroup.ts';
import { hostFacts } from './sandbox/host-facts.ts';
import { type NetworkPool, openNetworkPool } from './sandbox/network/network-pool.ts';
import { openUserNetworkPool } from './sandbox/network/user-network-pool.ts';
import { openStepUserNamespace, type StepUserNamespace } from './sandbox/user-namespace/step-user-namespace.ts';
import { type ActiveSnapshot, openSnapshotter, type Snapshotter } from './snapshots/snapshotter.ts';
import { chooseWorkingTrees, type SnapshotterChoice } from './snapshots/working-trees.ts';
import { openStore, type Store } from './store/open-store.ts';

/** What every function of the library takes. */
export interface CommonOptions {
  /** The state directory; by default `$TSBUILD_ROOT`, else `/var/lib/tsbuild` for root and `$XDG_DATA_HOME/tsbuild` for others. */
  readonly root?: string | undefined;
  /** Aborting ends everything that runs; the call then rejects with INTERRUPTED. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: Emit | undefined;
  /** How steps get their files: by default, and with `auto`, an overlay mount, or a copy where the kernel mounts none. `$TSBUILD_SNAPSHOTTER` otherwise. */
  readonly snapshotter?: SnapshotterChoice | undefined;
  /** Whose root the root of steps is; of no account without root, where it is the user's anyway. By default `$TSBUILD_USERNS`, else `host`. */
  readonly userns?: UserNamespaceChoice | undefined;
  /** What happens after a request to a registry that failed. */
  readonly retries?: Retries | undefined;
}

export interface Retries {
  /** How often it is sent again: by default 4 times, less often where that is little use; as said, where it is said. What a registry refuses for good is not. */
  readonly count?: number | undefined;
  /** The first wait in milliseconds, which doubles each time; by default 1000. A registry that asks for a wait gets it, up to a minute. */
  readonly delayMs?: number | undefined;
}

/** `auto`: steps are root of ids that nobody of the machine has. `host`: root of a step is the machine's, as is tsbuild. */
export type UserNamespaceChoice = 'auto' | 'host';

export interface Session extends AsyncDisposable {
  readonly store: Store;
  readonly snapshots: Snapshotter;
  readonly cache: BuildCache;
  readonly registry: RegistryClient;
  /** For clients of the caller's own. */
  readonly retry: RetryOptions;
  readonly packing: LayerPacking;
  networks(): NetworkPool;
  cgroups(): CgroupMaker;
  /** The user namespace of all steps, where their ids are mapped. Throws PRIVILEGE. */
  userNamespace(): StepUserNamespace | undefined;
  /** What steps work on: what the caller chose, or an overlay where one can be mounted. Tells of a choice that costs time. */
  workingTrees(active: ActiveSnapshot): Promise<'overlay' | 'copy'>;
  readonly platform: Platform;
  readonly emit: Emit;
  readonly signal: AbortSignal;
}

export async function openSession(options: CommonOptions): Promise<Session> {
  const signal = options.signal ?? new AbortController().signal;
  const emit = options.onEvent ?? (() => {});
  const store = await openStore(options.root ?? defaultRoot(), { signal });
  const cgroupRecords = path.join(store.root, 'cgroups');
  removeDeadCgroups(cgroupRecords);
  const cgroups = lazy(() => openCgroups(cgroupRecords));
  const snapshots = lazy(() => openSnapshotter(store.root, (name) => store.pin('snapshot', name)));
  const cache = lazy(() => openBuildCache(store.root));
  const packing = openLayerPacking();
  const retry = retryOptions(options.retries);
  const onNotice = (message: string): void => emit({ kind: 'warning', message });
  const registry = lazy(() => openRegistryClient({ signal, retry, onNotice }));
  let working: Promise<'overlay' | 'copy'> | undefined;
  const openPool = hostFacts().userNamespace === 'own' ? openUserNetworkPool : openNetworkPool;
  const mapped = choiceOf(options.userns) === 'auto' && hostFacts().userNamespace === 'initial';
  const userNamespace = lazy(() => openStepUserNamespace(store.root));
  const networks = lazy(() => openPool({ signal, emit, ...(mapped ? { owner: () => userNamespace.open().fd } : {}) }));
  return {
    store,
    get snapshots() {
      return snapshots.open();
    },
    get cache() {
      return cache.open();
    },
    get registry() {
      return registry.open();
    },
    retry,
    packing,
    networks: networks.open,
    cgroups: cgroups.open,
    userNamespace: () => (mapped ? userNamespace.open() : undefined),
    workingTrees: (active) => {
      working ??= chooseWorkingTrees(snapshots.open(), active, { chosen: options.snapshotter, emit });
      return working;
    },
    platform: platformOf(process.arch),
    emit,
    signal,
    async [Symbol.asyncDispose]() {
      try {
        await packing[Symbol.asyncDispose]();
        await networks.opened()?.close();
        await registry.opened()?.close();
        userNamespace.opened()?.[Symbol.dispose]();
        snapshots.opened()?.[Symbol.dispose]();
      } finally {
        await store[Symbol.asyncDispose]();
      }
    },
  };
}

function retryOptions({ count, delayMs }: Retries = {}): RetryOptions {
  return { ...(count === undefined ? {} : { attempts: count + 1, insists: true }), ...(delayMs === undefined ? {} : { baseMs: delayMs }) };
}

/** Throws USAGE where the environment says something else. */
function choiceOf(chosen = process.env['TSBUILD_USERNS'] || 'host'): UserNamespaceChoice {
  if (chosen === 'auto' || chosen === 'host') return chosen;
  throw new TsbuildError('USAGE', `Cannot use the user namespace ${chosen}: TSBUILD_USERNS is auto or host`);
}

/** Opens at the first call, and tells whether it has. */
function lazy<T>(make: () => T): { open(): T; opened(): T | undefined } {
  let value: { readonly it: T } | undefined;
  return {
    open() {
      value ??= { it: make() };
      return value.it;
    },
    opened: () => value?.it,
  };
}
