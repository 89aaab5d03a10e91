/** `run`: a stored image's command in the same sandbox as a RUN step, on files that vanish when it ends. */

import { constants } from 'node:os';
import { type ContainerCommand, inContainer } from '../../builder/execute/in-container.ts';
import { inRuntime } from '../../builder/execute/in-runtime.ts';
import { TsbuildError } from '../../errors.ts';
import type { Image } from '../../images/image.ts';
import type { NetworkPool } from '../../sandbox/network/network-pool.ts';
import { findRuntime } from '../../sandbox/oci-runtime/runtime-container.ts';
import { needPrivilege } from '../../sandbox/privilege.ts';
import { warnOfLowered } from '../../sandbox/resource-limits.ts';
import type { RunningCommand } from '../../sandbox/run-container.ts';
import { openSession, type Session } from '../../session.ts';
import { containerCommand, containerSettings, prepareFiles, resourcesOf, type SilentCommand } from './container-command.ts';
import { openLog } from './container-log.ts';
import { networkHolder, networkOf, observedNetworks } from './container-network.ts';
import { type ContainerRecord, createContainer, type HeldContainer } from './container-record.ts';
import { portsOf, stopSignalOf } from './container-settings.ts';
import { serveControl } from './control-socket.ts';
import { type ForwardedPorts, forwardPorts } from './forward-ports.ts';
import type { RunOptions, RunResult } from './run-options.ts';
import { runnableImage } from './runnable-image.ts';

/**
 * Runs it to its end. Pulls the image where the store does not have it. Aborting kills the container. Throws, beside what a
 * RUN may throw, CONTAINER_NOT_FOUND and NETWORK_SETUP (a port is taken, the other container's network is gone).
 */
export async function runImage(options: RunOptions): Promise<RunResult> {
  needPrivilege();
  const settings = await containerSettings(options);
  const runtime = options.runtime === undefined ? undefined : findRuntime(options.runtime);
  await using session = await openSession(options);
  if (settings.limits !== undefined) warnOfLowered(settings.limits, session.emit);
  const image = await runnableImage(session, options);
  const config = image.config.config ?? {};
  const command = containerCommand(options, image, settings);
  const networks = networksOf(session, options);
  const kept = options.log ?? 'until it ends';
  using container = createContainer(session.store.root, {
    ...{ name: options.containerName, image: options.name, command: command.argv, stopSignal: stopSignalOf(config), kept },
  });
  const isKept = kept === 'until removed';
  try {
    using ports = await forwardPorts(portsOf(config, options));
    container.update({ ports: ports.ports });
    const end = await runIn({ session, options, image, container, ports, networks, runtime }, command);
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
  readonly runtime: string | undefined;
}

async function runIn(run: Run, silent: SilentCommand): Promise<RunResult> {
  const { session, options, image, container, ports, runtime } = run;
  const active = await prepareFiles(session, image, silent);
  try {
    using output = outputOf(run);
    using control = await openControl(container);
    const networks = observedNetworks(run.networks, (network) => {
      container.update({ network: networkHolder(network) });
      if (ports.ports.length > 0) ports.leadTo(network.netnsFd);
    });
    const command: ContainerCommand = {
      ...silent,
      hostname: options.hostname ?? container.record.id.slice(0, 12),
      changes: 'dropped',
      onOutput: output.write,
      onStart: control.lead,
      onStarted() {
        container.update({ startedAt: now() });
        options.onStarted?.({ id: container.record.id, signal: control.signal });
      },
    };
    const resources = { ...resourcesOf(session), networks };
    const end = await (runtime === undefined
      ? inContainer(resources, active, command)
      : inRuntime(resources, active, { command, program: runtime }));
    control.ended(end);
    return end;
  } finally {
    session.snapshots.discard(active);
  }
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
  if (session.userNamespace() !== undefined) {
    throw new TsbuildError('USAGE', `Cannot use --userns=auto with --network ${network}: that network belongs to other ids`);
  }
  return networkOf(session.store.root, network.slice('container:'.length));
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
