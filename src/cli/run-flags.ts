/** Flags of `run` as docker writes them → options. All throw USAGE. */
import { TsbuildError } from '../errors.ts';
import type { ContainerDevice, ContainerMount, PublishedPort, RunOptions } from '../index.ts';
import { parseSize } from '../text/quantities.ts';
import { readBuildArgFile } from './build-arg-file.ts';
import type { Flags } from './command-table.ts';
import { csvFields } from './csv-flags.ts';
import { dnsOf } from './dns-flags.ts';
import { keyValues } from './key-values.ts';
import { limitsOf } from './resource-flags.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const PORT_MAX = 65_535;
const PORT_RANGE_MAX = 1000;

/** All but what goes on while it runs. */
export function runOptions(flags: Flags, env: Environment): Omit<RunOptions, 'name' | 'onOutput'> {
  return {
    ...{ root: flags.root, user: flags.user, workdir: flags.workdir, entrypoint: flags.entrypoint, limits: limitsOf(flags) },
    ...{ containerName: flags.name, hostname: flags.hostname, env: environmentOf(flags, env), network: networkOf(flags.network) },
    ...{ capAdd: flags.capAdd, capDrop: flags.capDrop, addHosts: flags.addHost, dns: dnsOf(flags), ...securityOf(flags) },
    mounts: [...(flags.volume ?? []).map(volumeOf), ...(flags.mount ?? []).map(mountOf), ...(flags.tmpfs ?? []).map(tmpfsOf)],
    devices: (flags.device ?? []).map(deviceOf),
    rootAccess: flags.readOnly === true ? 'read-only' : undefined,
    publish: (flags.publish ?? []).flatMap(portsOf),
    publishAll: flags.publishAll === true ? 'exposed' : undefined,
    ...{ runtime: flags.runtime, userns: flags.userns },
    pull: flags.pull as RunOptions['pull'],
    platform: [flags.platform ?? []].flat()[0],
    stdin: flags.interactive === true ? 'inherit' : 'empty',
  };
}

function environmentOf({ env = [], envFile = [] }: Flags, environment: Environment): string[] {
  const words = [...envFile.flatMap((file) => readBuildArgFile(file, 'a variable')), ...env];
  return Object.entries(keyValues('--env', words, environment)).map(([key, value]) => `${key}=${value}`);
}

function networkOf(mode: string | undefined): RunOptions['network'] {
  if (mode === undefined) return undefined;
  if (mode === 'bridge' || mode === 'default') return 'private';
  if (mode === 'private' || mode === 'none' || mode === 'host') return mode;
  if (/^container:./.test(mode)) return mode as `container:${string}`;
  throw refused('network', mode, 'not private, none, host or container:NAME');
}

function securityOf({ privileged, securityOpt = [] }: Flags): Pick<RunOptions, 'security' | 'seccomp' | 'newPrivileges'> {
  let options: Pick<RunOptions, 'security' | 'seccomp' | 'newPrivileges'> = privileged === true ? { security: 'insecure' } : {};
  for (const text of securityOpt) {
    if (/^no-new-privileges(?:[=:]true)?$/.test(text)) options = { ...options, newPrivileges: 'none' };
    else if (/^seccomp[=:]unconfined$/.test(text)) options = { ...options, seccomp: 'unconfined' };
    else throw refused('security-opt', text, 'only no-new-privileges and seccomp=unconfined are known');
  }
  return options;
}

/** `source:target[:ro|rw]`: a source without a slash would be a volume with a name. */
function volumeOf(text: string): ContainerMount {
  const parts = text.split(':');
  const [source = '', target = '', mode = 'rw'] = parts;
  if (parts.length < 2 || parts.length > 3 || target === '') throw refused('volume', text, 'not source:target or source:target:ro');
  if (!source.startsWith('/') && !/^\.{1,2}(?:\/|$)/.test(source)) {
    throw refused(
      'volume',
      text,
      `${JSON.stringify(source)} would be a named volume, which tsbuild does not have`,
      'Write ./NAME for a directory.',
    );
  }
  if (mode !== 'rw' && mode !== 'ro') throw refused('volume', text, `${JSON.stringify(mode)} is not ro or rw`);
  return { type: 'bind', source, target, access: mode === 'ro' ? 'read-only' : 'read-write' };
}

/** `/dev/x[:/dev/y][:rwm]`, or a name of CDI, which never begins with a slash. */
export function deviceOf(text: string): ContainerDevice {
  if (!text.startsWith('/')) return { name: text };
  const [path = '', ...rest] = text.split(':');
  const target = rest[0]?.startsWith('/') === true ? rest.shift() : undefined;
  const [permissions = 'rwm', ...strange] = rest;
  if (strange.length > 0 || !/^[rwm]{1,3}$/.test(permissions)) throw refused('device', text, 'not path, path:target or path:target:rwm');
  if (!permissions.includes('r') || !permissions.includes('w')) {
    throw refused('device', text, 'a device can be read and written, or is not there; tsbuild has no device cgroup to limit it');
  }
  return { path, ...(target === undefined ? {} : { target }) };
}

const BIND_FIELDS = new Map([
  ['source', 'src'],
  ['src', 'src'],
  ['target', 'dst'],
  ['dst', 'dst'],
  ['destination', 'dst'],
  ['type', 'type'],
  ['readonly', 'ro'],
  ['ro', 'ro'],
  ['tmpfs-size', 'size'],
  ['tmpfs-mode', 'mode'],
]);

function mountOf(text: string): ContainerMount {
  const fields = new Map<string, string>();
  for (const [key, value] of csvFields('--mount', text)) {
    const name = BIND_FIELDS.get(key);
    if (name === undefined) throw refused('mount', text, `it has no field ${JSON.stringify(key)}`);
    if (value === undefined && name !== 'ro') throw refused('mount', text, `${key} has no value`);
    fields.set(name, value ?? 'true');
  }
  const target = fields.get('dst');
  if (target === undefined) throw refused('mount', text, 'it has no target');
  const ro = fields.get('ro') ?? 'false';
  if (!['true', 'false', '1', '0'].includes(ro)) throw refused('mount', text, `${JSON.stringify(ro)} is not true or false`);
  const access = ro === 'true' || ro === '1' ? 'read-only' : 'read-write';
  const type = fields.get('type') ?? 'volume';
  if (type === 'tmpfs') {
    return { type, target, access, bytes: sizeOf(fields.get('size'), text), mode: modeOf(fields.get('mode'), text), execute: 'allowed' };
  }
  if (type !== 'bind') throw refused('mount', text, `the type ${type} is not bind or tmpfs`);
  const source = fields.get('src');
  if (source === undefined) throw refused('mount', text, 'it has no source');
  return { type, source, target, access };
}

/** `path[:size=64m,mode=1777,ro,exec]` */
function tmpfsOf(text: string): ContainerMount {
  const [target = '', ...rest] = text.split(':');
  let mount: Extract<ContainerMount, { type: 'tmpfs' }> = { type: 'tmpfs', target };
  for (const option of rest.join(':').split(',')) {
    const [name = '', value] = option.split('=', 2);
    if (name === 'size') mount = { ...mount, bytes: sizeOf(value, text) };
    else if (name === 'mode') mount = { ...mount, mode: modeOf(value, text) };
    else if (name === 'ro') mount = { ...mount, access: 'read-only' };
    else if (name === 'exec') mount = { ...mount, execute: 'allowed' };
    else if (!['', 'rw', 'noexec', 'nosuid', 'nodev'].includes(option))
      throw refused('tmpfs', text, `${JSON.stringify(option)} is unknown`);
  }
  return mount;
}

function sizeOf(text: string | undefined, whole: string): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseSize(text);
  if (bytes === undefined) throw refused('tmpfs', whole, `${JSON.stringify(text)} is not a size`);
  return bytes;
}

function modeOf(text: string | undefined, whole: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-7]{1,5}$/.test(text)) throw refused('tmpfs', whole, `${JSON.stringify(text)} is not an octal mode`);
  return Number.parseInt(text, 8);
}

/** `[[address:][host]:]container[/udp]`, where ports may be ranges of the same length; an IPv6 address stands in brackets. */
export function portsOf(text: string): PublishedPort[] {
  const [, address, host, container = '', protocol = 'tcp'] =
    /^(?:(?:(\[[0-9a-f:.]+\]|[0-9.]+):)?([0-9-]*):)?([0-9-]+)(?:\/(tcp|udp))?$/i.exec(text) ?? [];
  const inside = rangeOf(container);
  if (inside === undefined) throw refused('publish', text, 'not HOST:CONTAINER in numbers');
  const ip = address?.replace(/^\[|\]$/g, '') ?? '0.0.0.0';
  const outside = host === undefined || host === '' ? undefined : rangeOf(host, 0);
  if (host !== undefined && host !== '' && outside?.length !== inside.length) throw refused('publish', text, 'the ranges differ in length');
  return inside.map((containerPort, index) => ({
    ...{ address: ip, hostPort: outside?.[index] ?? 0, containerPort },
    protocol: protocol.toLowerCase() === 'udp' ? 'udp' : 'tcp',
  }));
}

/** `80` or `8000-8010`. */
function rangeOf(text: string, lowest = 1): number[] | undefined {
  const [, first = '', last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const from = Number(first);
  const length = Number(last) - from + 1;
  if (first === '' || from < lowest || Number(last) > PORT_MAX || length < 1 || length > PORT_RANGE_MAX) return undefined;
  return Array.from({ length }, (_, index) => from + index);
}

function refused(flag: string, text: string, reason: string, hint?: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text.slice(0, 200))} as --${flag}: ${reason}`, { hint });
}
