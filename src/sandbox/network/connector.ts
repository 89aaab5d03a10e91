/**
 * What connects a network namespace of an ordinary user with the world: pasta or slirp4netns, a process that opens sockets in
 * the user's name for the packets that come out of the namespace. passt(1), slirp4netns(1)
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { TsbuildError } from '../../errors.ts';

export type ConnectorProgram = 'pasta' | 'slirp4netns';

/** The first that is installed is taken. */
export const CONNECTORS: readonly ConnectorProgram[] = ['pasta', 'slirp4netns'];

export interface Connector {
  readonly program: ConnectorProgram;
  /** Asks the machine's own name servers whatever they are, its loopback's too. */
  readonly nameServer: string;
  /** Rejects when the program ends, with its own words; never resolves. */
  readonly failed: Promise<never>;
  stop(): void;
}

/** Never looked for along PATH, which the caller's directory could be part of. */
const DIRECTORIES = ['/usr/bin', '/usr/sbin', '/bin', '/usr/local/bin'];
/** slirp4netns answers here by itself; pasta is told to. */
const NAME_SERVER = '10.0.2.3';
export const TUN = '/dev/net/tun';
const COMPLAINT_MAX = 500;
/** It ends with descriptor 3, which is ours: however this process goes, its group goes with it. */
const SCRIPT = '{ read -r _; kill -9 0; } <&3 >/dev/null 2>&1 & exec "$0" "$@" 3<&-';

/** `namespace` is a descriptor of the network namespace, which is to have a tap device soon. Throws NETWORK_SETUP where that cannot be. */
export function startConnector(namespace: number, programs = CONNECTORS): Connector {
  needTunnels();
  const { program, file } = findProgram(programs);
  // Handed down: these programs give up the privilege to open it by the number of a process.
  const child = spawn('/bin/sh', ['-c', SCRIPT, file, ...argumentsOf(program, '/proc/self/fd/4')], {
    ...{ env: {}, cwd: '/', detached: true },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', namespace],
  });
  // Nothing of it keeps this process alive.
  child.unref();
  for (const stream of child.stdio) (stream as { unref?(): void } | null)?.unref?.();
  return { program, nameServer: NAME_SERVER, failed: failureOf(child, program), stop: () => stop(child) };
}

/** Why the device that their packets go through cannot be opened. Distributions let everybody open it. */
export function refusedTunnels(): NodeJS.ErrnoException | undefined {
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

function needTunnels(): void {
  const cause = refusedTunnels();
  if (cause === undefined) return;
  throw new TsbuildError('NETWORK_SETUP', `Cannot give a step a network as an ordinary user: ${TUN} cannot be opened (${cause.code})`, {
    hint:
      cause.code === 'EACCES'
        ? `Let users open it, as Debian does: chmod 0666 ${TUN}.`
        : 'Load its module (modprobe tun), or give this container the device.',
    cause,
  });
}

/** Its path; undefined where it is not installed. */
export function connectorFile(program: ConnectorProgram): string | undefined {
  return DIRECTORIES.map((directory) => `${directory}/${program}`).find((file) => existsSync(file));
}

function findProgram(programs: readonly ConnectorProgram[]): { program: ConnectorProgram; file: string } {
  for (const program of programs) {
    const file = connectorFile(program);
    if (file !== undefined) return { program, file };
  }
  throw new TsbuildError('NETWORK_SETUP', 'Cannot give a step a network as an ordinary user: neither pasta nor slirp4netns is installed', {
    hint: 'Install one (apt-get install passt), give steps none (--network=none), or let them use the machine’s (--network=host --allow network.host).',
  });
}

/** No way from the namespace to the machine's own loopback, and no port of either in the other. */
function argumentsOf(program: ConnectorProgram, namespace: string): string[] {
  if (program === 'slirp4netns') {
    return ['--configure', '--mtu=65520', '--disable-host-loopback', '--netns-type=path', namespace, 'tap0'];
  }
  const closed = ['-t', 'none', '-u', 'none', '-T', 'none', '-U', 'none', '--no-map-gw'];
  return ['-f', '-q', '--config-net', '-4', ...closed, '--dns-forward', NAME_SERVER, '-I', 'tap0', '--netns-only', '--netns', namespace];
}

function failureOf(child: ChildProcess, program: string): Promise<never> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString('latin1')).slice(-COMPLAINT_MAX);
  });
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(refused(program, error.message)));
    child.once('close', (code, signal) => reject(refused(program, lastLine(said) ?? `it ended with ${signal ?? code}`)));
  });
  // Whoever waits is told; nobody need wait.
  failed.catch(() => undefined);
  return failed;
}

function refused(program: string, reason: string): TsbuildError {
  return new TsbuildError('NETWORK_SETUP', `Cannot connect the network of steps by ${program}: ${reason}`, {
    hint: 'Give steps no network (--network=none), or the machine’s (--network=host --allow network.host).',
  });
}

function lastLine(text: string): string | undefined {
  const lines = text.split('\n').map((line) => line.replace(/[\x00-\x1f\x7f-\xff]+/g, ' ').trim());
  return lines.findLast((line) => line !== '');
}

function stop({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
