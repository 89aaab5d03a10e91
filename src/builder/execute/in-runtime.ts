/** A command's container as a bundle for an OCI runtime, and one run by it: what `tsbuild run --bundle` and `--runtime` do. */
import { closeSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { TsbuildError } from '../../errors.ts';
import { applyChanges } from '../../layers/apply-changes.ts';
import { isLimited } from '../../sandbox/cgroup/cgroup-limits.ts';
import type { ContainerSpec } from '../../sandbox/container-spec.ts';
import { ownUserNamespace, writeBundle } from '../../sandbox/oci-runtime/bundle.ts';
import { BUNDLE_ROOT } from '../../sandbox/oci-runtime/runtime-config.ts';
import { cgroupsFor, runtimeContainer } from '../../sandbox/oci-runtime/runtime-container.ts';
import { type ContainerExit, runContainer } from '../../sandbox/run-container.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { openDirectory } from '../../sys/open.ts';
import { fromText } from '../../tree/byte-string.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { wholeTree } from '../../tree/whole-tree.ts';
import { type ContainerCommand, containerIo, prepareContainer, type RunningResources } from './in-container.ts';

/**
 * Writes `rootfs` and config.json into `directory`, an empty one. A network of its own is a loopback: there is nobody to make
 * more of it. Throws what a step may throw before it starts.
 */
export async function bundleContainer(
  resources: RunningResources,
  active: ActiveSnapshot,
  { command, directory }: { readonly command: ContainerCommand; readonly directory: string },
): Promise<void> {
  using tree = resources.snapshots.activeTree(active);
  const { spec } = prepareContainer(withoutMap(resources), active, { command, tree });
  await writeRoot(resources, tree, directory);
  writeBundle(directory, spec, {
    network: 'own',
    resolvConf: containerIo(resources, command).resolvConf,
    ...(spec.userNamespace === undefined ? {} : { userNamespace: ownUserNamespace() }),
  });
}

/** As `inContainer`, by the runtime `program`, an absolute path, on a copy of the snapshot's files: nothing of what changes is kept. */
export async function inRuntime(
  resources: RunningResources,
  active: ActiveSnapshot,
  { command, program }: { readonly command: ContainerCommand; readonly program: string },
): Promise<ContainerExit> {
  using tree = resources.snapshots.activeTree(active);
  const { spec } = prepareContainer(withoutMap(resources), active, { command, tree });
  refuseUnlimited(spec);
  const place = makePlace(resources, active);
  const io = containerIo(resources, command);
  await writeRoot(resources, tree, place.bundle);
  const group = resources.cgroups().reserve(spec.limits?.cgroupParent);
  try {
    // Without root, a runtime goes on without a group that it cannot make, unless it is told which.
    const cgroups = spec.userNamespace === undefined ? { cgroupsPath: group.path } : {};
    writeBundle(place.bundle, spec, { network: 'inherited', ...cgroups, resolvConf: io.resolvConf });
    const id = group.path.slice(group.path.lastIndexOf('/') + 1);
    return await runContainer(runtimeContainer(spec, { program, ...place, id, cgroups: cgroupsFor(program, spec.limits) }), io);
  } finally {
    await group.remove();
  }
}

/** What a runtime makes of a map is its own affair. Throws USAGE. */
function withoutMap(resources: RunningResources): RunningResources {
  if (resources.userNamespace() === undefined) return resources;
  throw new TsbuildError('USAGE', 'Cannot use --userns=auto with --runtime or --bundle: another runtime maps ids in its own way');
}

/** Without root a runtime leaves limits out that it cannot set, and says nothing. Throws LIMIT_UNAVAILABLE. */
function refuseUnlimited({ limits = {}, userNamespace }: ContainerSpec): void {
  if (userNamespace === undefined || !isLimited(limits)) return;
  throw new TsbuildError('LIMIT_UNAVAILABLE', 'Cannot limit a container of another runtime without root: it would leave the limits out', {
    hint: 'Leave --runtime out: tsbuild itself keeps them, or says why it cannot.',
  });
}

/** Beside the snapshot, and gone with it. */
function makePlace({ snapshots }: RunningResources, active: ActiveSnapshot): { bundle: string; state: string; scratch: string } {
  const base = join(snapshots.directory, snapshots.scratch(active));
  const place = { bundle: join(base, 'bundle'), state: join(base, 'state'), scratch: join(base, 'scratch') };
  for (const path of Object.values(place)) mkdirSync(path, { mode: 0o700 });
  return place;
}

/** Files share their blocks with the snapshots' where the file system can do that. */
async function writeRoot({ emit, signal }: RunningResources, tree: FileTree, directory: string): Promise<void> {
  const path = join(directory, BUNDLE_ROOT);
  mkdirSync(path, { mode: 0o755 });
  const fd = openDirectory(fromText(path));
  try {
    await applyChanges(wholeTree(tree), fd, { signal, losses: { emit, of: 'the container' } });
  } finally {
    closeSync(fd);
  }
}
