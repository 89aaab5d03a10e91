/**
 * The machine's git, started with an environment made from nothing: no configuration of the machine or the user, no hook, no filter,
 * no prompt, and no program that an address could name (CVE-2017-1000117 and its kin).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { TsbuildError } from '../errors.ts';

export interface GitCall {
  readonly args: readonly string[];
  /** Absolute; `/` where absent. */
  readonly cwd?: string | undefined;
  /** More environment, such as GIT_INDEX_FILE. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** What may be talked to; `none` for commands on files that are here. */
  readonly network: GitNetwork | 'none';
  readonly signal: AbortSignal;
  /** Milliseconds until it is killed. */
  readonly timeoutMs: number;
}

export interface GitNetwork {
  readonly transport: 'git' | 'http' | 'https' | 'ssh';
  /** `http://host:port` or its like: the only place that `authorization` goes to. */
  readonly origin: string;
  /** Value of an Authorization header. */
  readonly authorization: string | undefined;
  /** Of the caller's ssh-agent. */
  readonly sshAgent: string | undefined;
}

export interface GitResult {
  readonly code: number;
  readonly stdout: Buffer;
  /** Its last lines, made fit to show. */
  readonly complaint: string;
}

const STDOUT_MAX = 256 << 20;
const STDERR_KEPT = 4096;
const COMPLAINT_MAX = 500;
/** Where a distribution keeps programs; PATH is the caller's, and could lead into the context. */
const PROGRAM_DIRECTORIES = ['/usr/bin', '/bin', '/usr/local/bin'];
/**
 * Files get the modes that git means, whatever the caller's umask. Beside it something waits for the end of descriptor 3, which is ours:
 * when this process is gone, however it went, so is the group.
 */
const SCRIPT = 'umask 022; { read -r _; kill -9 0; } <&3 >/dev/null 2>&1 & exec "$0" "$@" 3<&-';
const PROXIES = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'];

/** Runs git to its end. Throws FETCH_FAILED where there is no git, the time is over or it says too much; else its exit code tells. */
export async function runGit(call: GitCall): Promise<GitResult> {
  call.signal.throwIfAborted();
  // Of its own process group, so that its helpers end with it.
  const child = spawn('/bin/sh', ['-c', SCRIPT, gitProgram(), ...call.args], {
    ...{ cwd: call.cwd ?? '/', env: environment(call), detached: true },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  child.on('exit', () => child.stdio[3]?.destroy());
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? -1));
  });
  let stopped: Error | undefined;
  const stop = (reason: Error): void => {
    stopped ??= reason;
    killGroup(child);
  };
  const abort = (): void =>
    stop(call.signal.reason instanceof Error ? call.signal.reason : new TsbuildError('INTERRUPTED', 'Cannot go on'));
  call.signal.addEventListener('abort', abort, { once: true });
  const timer = setTimeout(() => stop(gitError(`git took longer than ${Math.round(call.timeoutMs / 1000)} s`)), call.timeoutMs);
  try {
    const output = collect(child, stop);
    const code = await ended;
    if (stopped !== undefined) throw stopped;
    return { code, stdout: Buffer.concat(output.stdout), complaint: complaintOf(output.stderr) };
  } finally {
    clearTimeout(timer);
    call.signal.removeEventListener('abort', abort);
  }
}

/** As `runGit`, for commands that have to work: throws FETCH_FAILED with git's complaint. Returns what git printed. */
export async function needGit(call: GitCall, what: string): Promise<Buffer> {
  const { code, stdout, complaint } = await runGit(call);
  if (code === 0) return stdout;
  throw new TsbuildError('FETCH_FAILED', `Cannot ${what}: ${complaint === '' ? `git ended with ${code}` : complaint}`);
}

function gitProgram(): string {
  const directory = PROGRAM_DIRECTORIES.find((each) => existsSync(`${each}/git`));
  if (directory !== undefined) return `${directory}/git`;
  throw new TsbuildError('FETCH_FAILED', 'Cannot read a git repository: this machine has no program git', {
    hint: 'Install it (apt-get install git).',
  });
}

function collect(child: ChildProcess, stop: (reason: Error) => void): { stdout: Buffer[]; stderr: string } {
  const output = { stdout: [] as Buffer[], stderr: '' };
  let size = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > STDOUT_MAX) stop(gitError('git says more than anybody could read'));
    else output.stdout.push(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    output.stderr = (output.stderr + chunk.toString()).slice(-STDERR_KEPT);
  });
  return output;
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The lines that say what went wrong; a URL in them has no credentials, since git was given none in an address. */
function complaintOf(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).map((line) => line.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ').trim());
  const said = lines.filter((line) => /^(?:fatal|error|remote):|^ssh:|[Pp]ermission denied|[Hh]ost key/.test(line));
  return (said.length > 0 ? said : lines.filter((line) => line !== '')).slice(0, 3).join('; ').slice(0, COMPLAINT_MAX);
}

function environment({ env = {}, network }: GitCall): Record<string, string> {
  const fixed = {
    ...{ PATH: PROGRAM_DIRECTORIES.join(':'), HOME: '/nonexistent', LC_ALL: 'C', TZ: 'UTC', ...env },
    ...{ GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_ATTR_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '' },
    ...{ GIT_LFS_SKIP_SMUDGE: '1', GIT_OPTIONAL_LOCKS: '0', GIT_NO_REPLACE_OBJECTS: '1', GIT_PROTOCOL_FROM_USER: '0' },
  };
  if (network === 'none') return { ...fixed, GIT_ALLOW_PROTOCOL: 'file', ...configured(SETTINGS) };
  const { transport, origin, authorization, sshAgent } = network;
  // A header of ours would go wherever a redirect leads: with one, none is followed (CVE-2026-41506).
  const redirects: Setting = ['http.followRedirects', authorization === undefined ? 'initial' : 'false'];
  const header: Setting[] = authorization === undefined ? [] : [[`http.${origin}/.extraHeader`, `Authorization: ${authorization}`]];
  return {
    ...fixed,
    ...(transport === 'ssh' ? { GIT_SSH_COMMAND: sshCommand(), GIT_SSH_VARIANT: 'ssh' } : callersProxies()),
    ...(transport === 'ssh' && sshAgent !== undefined ? { SSH_AUTH_SOCK: sshAgent } : {}),
    // A redirect may lead from http to https.
    GIT_ALLOW_PROTOCOL: transport === 'http' ? 'http:https' : transport,
    ...configured([...SETTINGS, redirects, ...header]),
  };
}

type Setting = readonly [key: string, value: string];

const SETTINGS: readonly Setting[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.askPass', ''],
  ['credential.helper', ''],
  ['safe.directory', '*'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['submodule.recurse', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  ['advice.detachedHead', 'false'],
  ['transfer.bundleURI', 'false'],
  ['http.lowSpeedLimit', '1'],
  ['http.lowSpeedTime', '60'],
];

/** git-config(1), "GIT_CONFIG_COUNT": settings that are on no command line. */
function configured(settings: readonly Setting[]): Record<string, string> {
  const entries = settings.flatMap(([key, value], at) => [
    [`GIT_CONFIG_KEY_${at}`, key],
    [`GIT_CONFIG_VALUE_${at}`, value],
  ]);
  return { GIT_CONFIG_COUNT: String(settings.length), ...(Object.fromEntries(entries) as Record<string, string>) };
}

function callersProxies(): Record<string, string> {
  const given = PROXIES.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  const certificates = process.env['GIT_SSL_CAINFO'] ?? process.env['SSL_CERT_FILE'];
  return {
    ...(Object.fromEntries(given) as Record<string, string>),
    ...(certificates === undefined ? {} : { GIT_SSL_CAINFO: certificates }),
  };
}

/** Only hosts that the caller's own ssh knows. */
function sshCommand(): string {
  const known = `${homedir()}/.ssh/known_hosts`.replace(/["\\$`\n]/g, '');
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    'ForwardAgent=no',
    'ClearAllForwardings=yes',
    'PermitLocalCommand=no',
    'ConnectTimeout=30',
  ];
  return `ssh -F /dev/null ${options.map((option) => `-o ${option}`).join(' ')} -o "UserKnownHostsFile=\\"${known}\\""`;
}

function gitError(reason: string): TsbuildError {
  return new TsbuildError('FETCH_FAILED', `Cannot read a git repository: ${reason}`);
}
