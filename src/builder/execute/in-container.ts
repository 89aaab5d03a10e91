/** A command in a container on an active snapshot: what RUN and `tsbuild run` share. */

import { existsSync, readFileSync } from 'node:fs';
import { TsbuildError } from '../../errors.ts';
import { type ContainerLimits, DEFAULT_HOSTNAME, defaultMounts, type HostFacts, sandboxLimits } from '../../sandbox/container-defaults.ts';
import type { ContainerSpec, MountSpec, ProcessSpec, TerminalSize } from '../../sandbox/container-spec.ts';
import { hostFacts } from '../../sandbox/host-facts.ts';
import { insecureLimits, insecureMounts } from '../../sandbox/insecure.ts';
import { type DnsSettings, withDns } from '../../sandbox/network/dns-settings.ts';
import { type HostEntry, hostsFile } from '../../sandbox/network/hosts-file.ts';
import type { ContainerResources } from '../../sandbox/resource-limits.ts';
import { stepRlimits } from '../../sandbox/rlimits.ts';
import { type ContainerExit, type ContainerIo, runContainer } from '../../sandbox/run-container.ts';
import { makeMountStubs } from '../../snapshots/mount-stub.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import { missingIds } from '../../sys/ids.ts';
import type { FileTree } from '../../tree/file-tree.ts';
import { type PlacedMounts, placeMounts } from './place-mounts.ts';
import type { BuildResources } from './resources.ts';
import { lookUpUser } from './user.ts';
import { openWorkingTree } from './working-tree.ts';

export type StepNetworkMode = ContainerSpec['network'];

export interface ContainerCommand {
  readonly argv: readonly string[];
  /** `NAME=value` each; HOME is added where it is not there. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly network: StepNetworkMode;
  /** `insecure`: with all that this process may do itself. By default `sandbox`. */
  readonly security?: 'sandbox' | 'insecure';
  readonly addHosts: readonly HostEntry[];
  /** What differs from the machine's way of finding names. */
  readonly dns?: DnsSettings | undefined;
  /** What it may use; by default as much as this process. */
  readonly limits?: ContainerResources | undefined;
  /** `none`: no process of it leaves a dump of its memory anywhere. By default what the caller of this process has set. */
  readonly core?: 'none';
  /** Beside those that every container has. */
  readonly mounts?: readonly MountSpec[];
  /** Supplementary groups beside those of the user. */
  readonly moreGroups?: readonly number[];
  /** By default the one that every step has. */
  readonly hostname?: string | undefined;
  /** What differs from the limits of `security`. */
  readonly isolation?: Partial<Pick<ContainerSpec, 'isolation' | 'rootAccess' | keyof ContainerLimits>>;
  readonly newPrivileges?: 'none' | undefined;
  readonly terminal?: TerminalSize | undefined;
  readonly resizes?: ContainerIo['resizes'];
  readonly stdin: 'empty' | 'inherit';
  /** `dropped`: nobody will look at the snapshot. */
  readonly changes?: 'dropped';
  onOutput(stream: 'stdout' | 'stderr', data: Uint8Array): void;
  onStart?: ContainerIo['onStart'];
  onStarted?: ContainerIo['onStarted'];
}

export type RunningResources = Pick<
  BuildResources,
  'snapshots' | 'networks' | 'cgroups' | 'userNamespace' | 'signal' | 'emit' | 'workingTrees'
>;

/** Runs the command to its end. What it changed stays in the snapshot; mount targets that were made for it do not. */
export async function inContainer(resources: RunningResources, active: ActiveSnapshot, command: ContainerCommand): Promise<ContainerExit> {
  using tree = resources.snapshots.activeTree(active);
  const { spec, targets } = prepareContainer(resources, active, { command, tree });
  using place = await openWorkingTree(resources, active, tree);
  const stubs = makeMountStubs(place, tree, targets);
  let end: ContainerExit;
  try {
    end = await runContainer({ ...spec, rootfs: place.rootfs }, containerIo(resources, command));
  } finally {
    stubs.remove();
  }
  // Who was killed may not have come as far as to mount it.
  if (end.signal === undefined) place.checkWritable();
  if (end.exitCode === 0 && command.changes !== 'dropped') await place.keep();
  return end;
}

/** The container as data. `targets` are what its mounts need and `tree`, the active one, does not have. */
export function prepareContainer(
  resources: RunningResources,
  active: ActiveSnapshot,
  { command, tree }: { readonly command: ContainerCommand; readonly tree: FileTree },
): { spec: ContainerSpec } & Pick<PlacedMounts, 'places' | 'targets'> {
  refuseNul(command);
  const { mounts, ...placed } = placeMounts(tree, stepMounts(command, factsFor(resources)));
  return { spec: containerSpec(resources, active, { command, mounts, tree }), ...placed };
}

/** What the container of `command` has to do with the outside. */
export function containerIo(resources: RunningResources, command: ContainerCommand): ContainerIo & { readonly resolvConf: string } {
  const { networks, signal } = resources;
  const { dns = {}, stdin, resizes, onOutput, onStart, onStarted } = command;
  const take = async () => {
    const network = await networks().take();
    return { ...network, resolvConf: withDns(network.resolvConf, dns) };
  };
  const resolvConf = command.network === 'host' ? withDns(hostResolvConf(), dns) : '';
  return {
    ...{ stdin, resizes, onOutput, signal, networks: { take }, cgroups: resources.cgroups(), resolvConf },
    userNamespace: resources.userNamespace()?.fd,
    ...(onStart === undefined ? {} : { onStart }),
    ...(onStarted === undefined ? {} : { onStarted }),
  };
}

/** Strings of the kernel end at a NUL byte; JSON, of a Dockerfile or an image's config, can hold one. */
function refuseNul({ argv, env, cwd }: ContainerCommand): void {
  const found = argv.some(hasNul)
    ? 'an argument'
    : env.some(hasNul)
      ? 'an environment variable'
      : hasNul(cwd)
        ? 'the working directory'
        : '';
  if (found !== '') throw new TsbuildError('RUN_NOT_STARTED', `Cannot start ${quote(argv[0] ?? '')}: ${found} holds a NUL byte`);
}

function hasNul(text: string): boolean {
  return text.includes('\0');
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

/** On the machine's own network its name servers are right as they are. */
function hostResolvConf(): string {
  return existsSync('/etc/resolv.conf') ? readFileSync('/etc/resolv.conf', 'utf8') : '';
}

/** A step with ids of its own is in the place of an ordinary user's. */
function factsFor({ userNamespace }: RunningResources): HostFacts {
  return userNamespace() === undefined ? hostFacts() : { ...hostFacts(), userNamespace: 'own' };
}

function stepMounts(command: ContainerCommand, facts: HostFacts): MountSpec[] {
  const { addHosts, hostname = DEFAULT_HOSTNAME, network, mounts = [] } = command;
  const hosts: MountSpec = { kind: 'text', target: '/etc/hosts', text: hostsFile(hostname, addHosts) };
  const resolver: MountSpec[] = network === 'none' ? [] : [{ kind: 'resolver', target: '/etc/resolv.conf' }];
  const kernel = kernelMounts(command, facts);
  // /proc and /sys come last: no path of a mount, whatever links lie in it, leads into them before they are there.
  const [early, late] = [kernel.filter(({ target }) => /^\/dev\b/.test(target)), kernel.filter(({ target }) => !/^\/dev\b/.test(target))];
  return [...early, ...[hosts, ...resolver, ...mounts].toSorted((a, b) => depthOf(a) - depthOf(b)), ...late];
}

function kernelMounts({ isolation, limits, security }: ContainerCommand, facts: HostFacts): MountSpec[] {
  const shm = limits?.shmBytes === undefined ? {} : { shmBytes: limits.shmBytes };
  if (security === 'insecure') return insecureMounts(facts, shm);
  const mounts = defaultMounts(facts, shm);
  // Of those, a /dev alone can be made of files.
  return isolation?.isolation === 'chroot' ? mounts.filter(({ kind }) => kind === 'dev') : mounts;
}

/** What lies in another mount comes after it, whichever was written first. */
function depthOf({ target }: MountSpec): number {
  return target.split('/').filter((name) => name !== '').length;
}

interface SpecParts {
  readonly command: ContainerCommand;
  readonly mounts: readonly MountSpec[];
  readonly tree: FileTree;
}

function containerSpec(resources: RunningResources, active: ActiveSnapshot, { command, mounts, tree }: SpecParts): ContainerSpec {
  const { snapshots } = resources;
  const facts = factsFor(resources);
  const { uid, gid, groups, home } = lookUpUser(tree, command.user);
  const env = command.env.some((text) => text.startsWith('HOME=')) ? command.env : [...command.env, `HOME=${home}`];
  const { moreGroups = [] } = command;
  for (const each of [gid, ...moreGroups]) {
    const missing = missingIds('a process', { uid, gid: each });
    if (missing !== undefined) throw missing;
  }
  const userNamespace = mappedNamespace(resources, Math.max(uid, ...groups, ...moreGroups));
  const { rlimits } = stepRlimits(command.limits?.ulimits ?? [], command.core ?? 'caller');
  return {
    rootfs: snapshots.overlay(active),
    mounts,
    process: {
      ...{ argv: command.argv, env, cwd: command.cwd, uid, gid, umask: 0o022, rlimits, ...processOptions(command) },
      groups: [...new Set([...groups, ...moreGroups])],
    },
    hostname: command.hostname ?? DEFAULT_HOSTNAME,
    ...(command.security === 'insecure' ? insecureLimits(facts) : sandboxLimits(facts)),
    ...userNamespace,
    ...command.isolation,
    network: command.network,
    ...(command.limits === undefined ? {} : { limits: command.limits.cgroup }),
  };
}

/** Throws PRIVILEGE where an id of the command is none of the step's. */
function mappedNamespace({ snapshots, userNamespace }: RunningResources, highest: number): Pick<ContainerSpec, 'userNamespace'> {
  const own = userNamespace();
  if (own === undefined) return {};
  if (highest < own.count) return { userNamespace: { ids: 'all', mapped: { first: own.first, files: snapshots.directory } } };
  throw new TsbuildError(
    'PRIVILEGE',
    `Cannot run as the user or group ${highest}: with --userns=auto, steps have the ids 0 to ${own.count - 1}`,
    {
      hint: 'Choose a smaller number, or leave --userns=auto out.',
    },
  );
}

function processOptions({ newPrivileges, terminal }: ContainerCommand): Pick<ProcessSpec, 'newPrivileges' | 'terminal'> {
  return { ...(newPrivileges === undefined ? {} : { newPrivileges }), ...(terminal === undefined ? {} : { terminal }) };
}
