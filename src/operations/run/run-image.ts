/** `run`: a stored image's command in the same sandbox as a RUN step, on files that vanish when it ends. */

import { constants } from 'node:os';
import { type ContainerCommand, inContainer, type StepNetworkMode } from '../../builder/execute/in-container.ts';
import type { BuildResources } from '../../builder/execute/resources.ts';
import { makeWorkdir, ownerOfProcess } from '../../builder/execute/workdir-step.ts';
import { cleanWorkdir } from '../../builder/plan/config-patch.ts';
import type { Image } from '../../images/image.ts';
import { unpackImage } from '../../images/unpack-image.ts';
import { normalizePlatform, type Platform, parsePlatform } from '../../oci/platform.ts';
import { checkedDns } from '../../sandbox/network/dns-settings.ts';
import { type HostEntry, parseHost } from '../../sandbox/network/hosts-file.ts';
import type { NetworkPool } from '../../sandbox/network/network-pool.ts';
import { needPrivilege } from '../../sandbox/privilege.ts';
import { checkedLimits, warnOfLowered } from '../../sandbox/resource-limits.ts';
import type { RunningCommand } from '../../sandbox/run-container.ts';
import { needRunnable } from '../../sandbox/runnable-architectures.ts';
import { openSession, type Session } from '../../session.ts';
import { openBaseImages } from '../base-image.ts';
import { storedImage } from '../images.ts';
import { openLog } from './container-log.ts';
import { containerMounts } from './container-mounts.ts';
import { networkHolder, networkOf, observedNetworks } from './container-network.ts';
import { type ContainerRecord, createContainer, type HeldContainer } from './container-record.ts';
import { commandOf, isolationOf, portsOf, processEnv, stopSignalOf } from './container-settings.ts';
import { serveControl } from './control-socket.ts';
import { type ForwardedPorts, forwardPorts } from './forward-ports.ts';
import type { RunOptions, RunResult } from './run-options.ts';

/**
 * Runs it to its end. Pulls the image where the store does not have it. Aborting kills the container. Throws, beside what a
 * RUN may throw, CONTAINER_NOT_FOUND and NETWORK_SETUP (a port is taken, the other container's network is gone).
 */
export async function runImage(options: RunOptions): Promise<RunResult> {
  needPrivilege();
  const settings = {
    limits: checkedLimits(options.limits),
    isolation: isolationOf(options),
    mounts: containerMounts(options.mounts ?? []),
  };
  await using session = await openSession(options);
  warnOfLowered(settings.limits, session.emit);
  const image = await runnableImage(session, options);
  const config = image.config.config ?? {};
  const argv = commandOf(config, options);
  const networks = networksOf(session, options);
  const kept = options.log ?? 'until it ends';
  using container = createContainer(session.store.root, {
    ...{ name: options.containerName, image: options.name, command: argv, stopSignal: stopSignalOf(config), kept },
  });
  const isKept = kept === 'until removed';
  try {
    using ports = await forwardPorts(portsOf(config, options));
    container.update({ ports: ports.ports });
    const end = await runIn({ session, options, image, container, ports, networks }, { ...settings, argv });
    if (isKept) container.update({ endedAt: now(), ...endOf(end) });
    else container.remove();
    return end;
  } catch (error) {
    if (isKept && container.record.startedAt !== undefined) container.update({ endedAt: now(), exitCode: 137, error: String(error) });
    else container.remove();
    throw error;
  }
}

/** What a run holds until its end. */
interface Run {
  readonly session: Session;
  readonly options: RunOptions;
  readonly image: Image;
  readonly container: HeldContainer;
  readonly ports: ForwardedPorts;
  readonly networks: () => NetworkPool;
}

interface Settings extends Pick<ContainerCommand, 'limits' | 'isolation' | 'mounts'> {
  readonly argv: readonly string[];
}

async function runIn(run: Run, settings: Settings): Promise<RunResult> {
  const { session, options, image, container, ports } = run;
  const config = image.config.config ?? {};
  const cwd = cleanWorkdir(config.WorkingDir, options.workdir ?? '');
  const user = options.user ?? config.User ?? '';
  const top = image.manifest.layers.length === 0 ? undefined : await unpackImage(session, image);
  const active = session.snapshots.prepare(top);
  using output = outputOf(run);
  using control = await openControl(container);
  try {
    // As other runtimes: a working directory that is not there is made.
    await makeWorkdir(session, active, { path: cwd, ownerIn: ownerOfProcess(user), createdNs: BigInt(Date.now()) * 1_000_000n });
    const networks = observedNetworks(run.networks, (network) => {
      container.update({ network: networkHolder(network) });
      if (ports.ports.length > 0) ports.leadTo(network.netnsFd);
    });
    const end = await inContainer({ ...resourcesOf(session), networks }, active, {
      ...{ ...settings, ...processOf(options), cwd, user, env: processEnv(config, options) },
      network:
        options.network?.startsWith('container:') === true ? 'private' : ((options.network as StepNetworkMode | undefined) ?? 'private'),
      hostname: options.hostname ?? container.record.id.slice(0, 12),
      onOutput: output.write,
      onStart: control.lead,
      onStarted() {
        container.update({ startedAt: now() });
        options.onStarted?.({ id: container.record.id, signal: control.signal });
      },
    });
    control.ended(end);
    return end;
  } finally {
    session.snapshots.discard(active);
  }
}

/** Getters of the session open things: only those that a container needs are asked. */
function resourcesOf(session: Session): Pick<BuildResources, 'snapshots' | 'cgroups' | 'signal'> {
  return { snapshots: session.snapshots, cgroups: session.cgroups, signal: session.signal };
}

function processOf({ addHosts, dns, newPrivileges, security, stdin, terminal }: RunOptions): Partial<ContainerCommand> & {
  readonly addHosts: readonly HostEntry[];
  readonly stdin: 'empty' | 'inherit';
} {
  const size = terminal === undefined ? {} : { terminal: { columns: terminal.columns, rows: terminal.rows }, resizes: terminal.resizes };
  return {
    addHosts: (addHosts ?? []).map(parseHost),
    dns: checkedDns(dns),
    stdin: stdin ?? 'empty',
    newPrivileges,
    ...(security === undefined ? {} : { security }),
    ...size,
  };
}

/** To the caller, and to the log where that is kept. */
function outputOf({ options, container }: Run): Disposable & { readonly write: RunOptions['onOutput'] } {
  const log = options.log === undefined ? undefined : openLog(container.directory);
  return {
    write(stream, data) {
      log?.write(stream, data);
      options.onOutput(stream, data);
    },
    [Symbol.dispose]: () => log?.close(),
  };
}

interface Control extends Disposable {
  readonly lead: (command: RunningCommand) => void;
  readonly signal: RunningCommand['signal'];
  /** What those who wait are told at the disposal. */
  ended(end: RunResult): void;
}

/** Signals of other commands; those that come before the command is there wait for it. */
async function openControl(container: HeldContainer): Promise<Control> {
  const early: NodeJS.Signals[] = [];
  let running: RunningCommand | undefined;
  const signal: RunningCommand['signal'] = (name, to) => (running === undefined ? void early.push(name) : running.signal(name, to));
  const server = await serveControl(container.directory, signal);
  let exitCode: number | undefined;
  return {
    signal,
    ended(end) {
      exitCode = exitCodeOf(end);
    },
    lead(command) {
      running = command;
      for (const name of early.splice(0)) command.signal(name);
    },
    [Symbol.dispose]: () => server.close(exitCode),
  };
}

function networksOf(session: Session, { network }: RunOptions): () => NetworkPool {
  if (network?.startsWith('container:') !== true) return session.networks;
  return networkOf(session.store.root, network.slice('container:'.length));
}

/** This machine's, or the only one if an emulator can run it. Throws EMULATOR_MISSING before a layer is fetched. */
async function runnableImage(session: Session, { name, pull = 'missing', platform: asked }: RunOptions): Promise<Image> {
  const platform = asked === undefined ? session.platform : parsePlatform(asked);
  if (pull === 'never') storedImage(session, name);
  const bases = openBaseImages(session, pull === 'always' ? 'registry' : 'store');
  const { config } = await bases.resolve(name, platform);
  if (!isForMachine(config, session.platform)) needRunnable(normalizePlatform(config), session.platform);
  return await bases.load(name, platform);
}

function isForMachine(found: Platform, machine: Platform): boolean {
  return found.os === machine.os && normalizePlatform(found).architecture === machine.architecture;
}

function endOf(end: RunResult): Partial<ContainerRecord> {
  const exitCode = exitCodeOf(end);
  return end.outOfMemory === undefined ? { exitCode } : { exitCode, error: 'The kernel killed a process of it, out of memory' };
}

function exitCodeOf({ exitCode, signal }: RunResult): number {
  return exitCode ?? 128 + signalNumber(signal);
}

function now(): string {
  return new Date().toISOString();
}

function signalNumber(name: string | undefined): number {
  return constants.signals[name as NodeJS.Signals] ?? Number(/\d+$/.exec(name ?? '')?.[0] ?? 0);
}
