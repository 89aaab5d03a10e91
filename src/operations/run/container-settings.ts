/** What image and options together say of a container. Pure but for the capabilities of this process. */
import { isIP } from 'node:net';
import { constants } from 'node:os';
import { TsbuildError } from '../../errors.ts';
import type { ContainerConfig } from '../../oci/image-config.ts';
import { capabilityNamed } from '../../sandbox/capability.ts';
import { DEFAULT_CAPABILITIES } from '../../sandbox/container-defaults.ts';
import type { ContainerSpec } from '../../sandbox/container-spec.ts';
import { hostFacts } from '../../sandbox/host-facts.ts';
import { insecureLimits } from '../../sandbox/insecure.ts';
import type { PublishedPort } from './container-record.ts';
import type { SilentOptions } from './run-options.ts';

const ANY_ADDRESS = '0.0.0.0';
const PORT_MAX = 65_535;

/** Throws USAGE where there is none. */
export function commandOf(config: ContainerConfig, { name, argv, entrypoint }: SilentOptions): string[] {
  const given = argv ?? [];
  const first = entrypoint === undefined ? (config.Entrypoint ?? []) : entrypoint === '' ? [] : [entrypoint];
  const rest = given.length > 0 || entrypoint !== undefined ? given : (config.Cmd ?? []);
  const command = [...first, ...rest];
  if (command.length === 0) {
    throw new TsbuildError('USAGE', `Cannot run ${name}: the image names no command`, { hint: `Give one: tsbuild run ${name} COMMAND.` });
  }
  return command;
}

/** Later values win and keep the earlier place. An entry without `=` names no value, and never the caller's (CVE-2026-57231). */
export function processEnv(
  config: ContainerConfig,
  { env = [], terminal }: SilentOptions,
  more: ReadonlyMap<string, string> = new Map(),
): string[] {
  const merged = new Map<string, string>(terminal === undefined ? [] : [['TERM', 'TERM=xterm']]);
  for (const text of [...(config.Env ?? []), ...env]) {
    const equals = text.indexOf('=');
    if (equals > 0) merged.set(text.slice(0, equals), text);
  }
  for (const [name, value] of more) merged.set(name, `${name}=${value}`);
  return [...merged.values()];
}

/** What differs from the limits of every container. As docker: what is added and dropped alike is added, but for ALL. Throws USAGE. */
export function isolationOf(options: SilentOptions): Partial<Pick<ContainerSpec, 'capabilities' | 'seccomp' | 'rootAccess'>> {
  const { capAdd = [], capDrop = [], seccomp, rootAccess, security } = options;
  return {
    ...(capAdd.length + capDrop.length === 0 || security === 'insecure' ? {} : { capabilities: capabilitiesOf(capAdd, capDrop) }),
    ...(seccomp === undefined ? {} : { seccomp }),
    ...(rootAccess === undefined ? {} : { rootAccess }),
  };
}

function capabilitiesOf(add: readonly string[], drop: readonly string[]): string[] {
  const own = insecureLimits(hostFacts()).capabilities;
  const added = new Set(add.filter((name) => !isAll(name)).map((name) => known('--cap-add', name)));
  const dropped = new Set(drop.filter((name) => !isAll(name)).map((name) => known('--cap-drop', name)));
  const missing = [...added].find((name) => !own.includes(name));
  if (missing !== undefined) throw new TsbuildError('PRIVILEGE', `Cannot give a container ${missing}: this process does not have it`);
  const base = add.some(isAll) ? own : drop.some(isAll) ? [] : DEFAULT_CAPABILITIES;
  return [...new Set([...base.filter((name) => !dropped.has(name)), ...added])];
}

function isAll(name: string): boolean {
  return name.toUpperCase() === 'ALL';
}

function known(flag: string, text: string): string {
  const name = capabilityNamed(text);
  if (name === undefined) throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text)} as ${flag}: no such capability`);
  return name;
}

/** Throws USAGE where the network has no ports of its own. */
export function portsOf(config: ContainerConfig, { publish = [], publishAll, network = 'private' }: SilentOptions): PublishedPort[] {
  const exposed = publishAll === undefined ? [] : Object.keys(config.ExposedPorts ?? {}).flatMap(exposedPorts);
  const ports = [...publish, ...exposed.filter((port) => !publish.some((other) => isSame(other, port)))];
  const strange = publish.find(({ address }) => isIP(address) === 0);
  if (strange !== undefined) throw new TsbuildError('USAGE', `Cannot publish a port on ${JSON.stringify(strange.address)}: not an address`);
  if (ports.length > 0 && network !== 'private') {
    throw new TsbuildError('USAGE', `Cannot publish ports of a container with the network ${network}: it has none of its own`);
  }
  return ports;
}

function isSame(a: PublishedPort, b: PublishedPort): boolean {
  return a.containerPort === b.containerPort && a.protocol === b.protocol;
}

/** `80`, `53/udp`, `8000-8010/tcp`: what an image says may be anything. */
function exposedPorts(text: string): PublishedPort[] {
  const [, first = '', last = first, protocol = 'tcp'] = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp))?$/i.exec(text) ?? [];
  const from = Number(first);
  const to = Number(last);
  if (from < 1 || to > PORT_MAX || to < from || to - from > 1000) return [];
  return Array.from({ length: to - from + 1 }, (_, index) => ({
    ...{ address: ANY_ADDRESS, hostPort: 0, containerPort: from + index, protocol: protocol.toLowerCase() === 'udp' ? 'udp' : 'tcp' },
  }));
}

/** By name; what cannot be sent by name becomes SIGTERM. */
export function stopSignalOf({ StopSignal = 'SIGTERM' }: ContainerConfig): string {
  return namedSignal(StopSignal) ?? 'SIGTERM';
}

/** `TERM`, `SIGTERM` or `15` is `SIGTERM`; undefined where Node does not know it. */
export function namedSignal(text: string): NodeJS.Signals | undefined {
  const upper = text.toUpperCase();
  const name = upper.startsWith('SIG') ? upper : `SIG${upper}`;
  const found = Object.entries(constants.signals).find(([each, number]) => each === name || String(number) === text);
  return found?.[0] as NodeJS.Signals | undefined;
}
