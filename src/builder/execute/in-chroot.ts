/** A command on a copy of an active snapshot's files, in another root directory and little more: where nothing can be mounted or unshared. */
import { hostname } from 'node:os';
import path from 'node:path';
import { TsbuildError } from '../../errors.ts';
import { chrootLimits, needChroot, needNoNetwork } from '../../sandbox/chroot-isolation.ts';
import { type ContainerExit, runContainer } from '../../sandbox/run-container.ts';
import { makeMountStubs } from '../../snapshots/mount-stub.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import type { ByteString } from '../../tree/byte-string.ts';
import { type ContainerCommand, containerIo, prepareContainer, type RunningResources } from './in-container.ts';
import type { BuildResources } from './resources.ts';
import { putStandIns, type StandIn } from './stand-ins.ts';
import { openWorkingTree } from './working-tree.ts';

/**
 * As `inContainer`; the working tree is a copy. Throws PRIVILEGE and UNSUPPORTED_KERNEL where there is no chroot either, UNSUPPORTED for what
 * it cannot give.
 */
export async function inChroot(
  resources: RunningResources & Pick<BuildResources, 'warnOnce'>,
  active: ActiveSnapshot,
  asked: ContainerCommand,
): Promise<ContainerExit> {
  needChroot();
  refuse(asked);
  const command: ContainerCommand = {
    ...{ ...asked, isolation: chrootLimits(), hostname: hostname() },
    network: asked.network === 'private' ? 'host' : asked.network,
  };
  using tree = resources.snapshots.activeTree(active);
  const { spec, places, targets } = prepareContainer(resources, active, { command, tree });
  using place = await openWorkingTree(resources, active, tree);
  const io = containerIo(resources, command);
  const stubs = makeMountStubs(place, tree, targets);
  let end: ContainerExit;
  try {
    using _files = putStandIns(
      {
        root: place.upperFd,
        aside: path.join(resources.snapshots.directory, resources.snapshots.scratch(active)),
        resolvConf: io.resolvConf,
        onNoDevices: (why) => resources.warnOnce(`Steps have no device nodes, not even /dev/null: ${why}`),
      },
      spec.mounts.map((mount, index): StandIn => ({ mount, at: places[index] ?? ('' as ByteString) })),
    );
    end = await runContainer({ ...spec, rootfs: place.rootfs, mounts: [] }, io);
  } finally {
    stubs.remove();
  }
  if (end.exitCode === 0 && command.changes !== 'dropped') await place.keep();
  return end;
}

function refuse({ mounts = [], network, security }: ContainerCommand): void {
  if (network === 'none') needNoNetwork();
  if (security !== 'insecure' && !mounts.some(({ kind }) => kind === 'device')) return;
  throw new TsbuildError(
    'UNSUPPORTED',
    'Cannot run a step with --security=insecure or with devices in a chroot: it has neither devices nor /proc and /sys',
    {
      hint: 'Build without --isolation=chroot, in a container that was started with --privileged.',
    },
  );
}
