/** What image and options together say of a container, as the builder's rooms take it. */
import type { ContainerCommand, RunningResources, StepNetworkMode } from '../../builder/execute/in-container.ts';
import { makeWorkdir, ownerOfProcess } from '../../builder/execute/workdir-step.ts';
import { cleanWorkdir } from '../../builder/plan/config-patch.ts';
import type { Image } from '../../images/image.ts';
import { unpackSound } from '../../images/unpack-image.ts';
import { checkedDns } from '../../sandbox/network/dns-settings.ts';
import { parseHost } from '../../sandbox/network/hosts-file.ts';
import { checkedLimits } from '../../sandbox/resource-limits.ts';
import type { Session } from '../../session.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { containerDevices } from './container-devices.ts';
import { containerMounts } from './container-mounts.ts';
import { commandOf, isolationOf, processEnv } from './container-settings.ts';
import type { SilentOptions } from './run-options.ts';

/** All of a command but who listens to it, and its host's name. */
export type SilentCommand = Omit<ContainerCommand, 'onOutput' | 'onStart' | 'onStarted' | 'hostname'>;

interface Settings extends Pick<ContainerCommand, 'limits' | 'isolation' | 'mounts' | 'moreGroups'> {
  /** Of devices; they count more than others. */
  readonly deviceEnv: ReadonlyMap<string, string>;
}

/** What can be wrong before the image is known. Throws USAGE, PRIVILEGE, MOUNT_INVALID, DEVICE_NOT_FOUND, DEVICE_INVALID. */
export async function containerSettings(options: SilentOptions): Promise<Settings> {
  const mounts = containerMounts(options.mounts ?? []);
  const { mounts: nodes, env, groups } = await containerDevices(options.devices ?? []);
  return {
    ...{ limits: checkedLimits(options.limits), isolation: isolationOf(options) },
    ...{ mounts: [...mounts, ...nodes], moreGroups: groups, deviceEnv: env },
  };
}

/** Throws USAGE where there is no command. */
export function containerCommand(options: SilentOptions, { config: image }: Image, { deviceEnv, ...settings }: Settings): SilentCommand {
  const config = image.config ?? {};
  const { addHosts = [], dns, network, newPrivileges, security, stdin = 'empty', terminal } = options;
  const size = terminal === undefined ? {} : { terminal: { columns: terminal.columns, rows: terminal.rows }, resizes: terminal.resizes };
  return {
    ...settings,
    ...{ argv: commandOf(config, options), env: processEnv(config, options, deviceEnv), user: options.user ?? config.User ?? '' },
    ...{ cwd: cleanWorkdir(config.WorkingDir, options.workdir ?? ''), addHosts: addHosts.map(parseHost), dns: checkedDns(dns) },
    ...{ stdin, newPrivileges, ...(security === undefined ? {} : { security }), ...size },
    network: network?.startsWith('container:') === true ? 'private' : ((network as StepNetworkMode | undefined) ?? 'private'),
  };
}

/** A snapshot on the image's, with the working directory, which is made where it is not there, as other runtimes do. The caller discards it. */
export async function prepareFiles(session: Session, image: Image, { cwd, user }: SilentCommand): Promise<ActiveSnapshot> {
  const top = image.manifest.layers.length === 0 ? undefined : await unpackSound(session, image);
  const active = session.snapshots.prepare(top);
  try {
    await makeWorkdir(session, active, { path: cwd, ownerIn: ownerOfProcess(user), createdNs: BigInt(Date.now()) * 1_000_000n });
    return active;
  } catch (error) {
    session.snapshots.discard(active);
    throw error;
  }
}

/** Getters of the session open things: only those that a container needs are asked. */
export function resourcesOf(session: Session): Omit<RunningResources, 'networks'> {
  const { cgroups, emit, signal, snapshots, userNamespace, workingTrees } = session;
  return { cgroups, emit, signal, snapshots, userNamespace, workingTrees };
}
