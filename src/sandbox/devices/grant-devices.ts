/** Devices → what a container of this machine gets for them: mounts, variables and groups. Looks at the machine's own nodes. */
import { type Stats, statSync } from 'node:fs';
import { TsbuildError } from '../../errors.ts';
import { splitDevice } from '../../sys/device-number.ts';
import type { HostFacts } from '../container-defaults.ts';
import type { MountSpec } from '../container-spec.ts';
import type { DeviceEdits, EditedMount, EditedNode } from './device-edits.ts';
import type { Device } from './device-specification.ts';

export interface DeviceGrant {
  readonly mounts: readonly MountSpec[];
  readonly env: ReadonlyMap<string, string>;
  readonly groups: readonly number[];
}

type NodeMount = Extract<MountSpec, { kind: 'device' }>;

/**
 * What is for all devices of a file comes once, before its first device. Of two things
 * in one place the later counts. Throws UNSUPPORTED, DEVICE_INVALID.
 */
export function grantDevices(devices: readonly Device[], facts: Pick<HostFacts, 'userNamespace'>): DeviceGrant {
  const mounts = new Map<string, MountSpec>();
  const env = new Map<string, string>();
  const groups = new Set<number>();
  const files = new Set<string>();
  for (const device of new Map(devices.map((each) => [each.name, each])).values()) {
    needSupportedDevice(device);
    for (const edits of files.has(device.file) ? [device.own] : [device.common, device.own]) {
      for (const spec of mountsOf(device, edits, facts)) mounts.set(spec.target, spec);
      for (const text of edits.env) env.set(text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1));
      // As runtimes do: the group of root is nobody's right to anything.
      for (const group of edits.groups) if (group !== 0) groups.add(group);
    }
    files.add(device.file);
  }
  return { mounts: [...mounts.values()], env, groups: [...groups] };
}

/** Throws UNSUPPORTED for a device that needs what tsbuild does not do: without it, it would be another one. */
export function needSupportedDevice({ name, file, common, own }: Device): void {
  const what = common.unsupported ?? own.unsupported;
  if (what === undefined) return;
  throw new TsbuildError('UNSUPPORTED', `Cannot give a container the device ${name}: ${what} in ${file} is not supported yet`, {
    hint: 'tsbuild knows device nodes, mounts, variables and groups of a device, and runs no hooks.',
  });
}

function mountsOf(device: Device, { nodes, mounts }: DeviceEdits, facts: Pick<HostFacts, 'userNamespace'>): MountSpec[] {
  return [...mounts.map((mount) => bindOf(device, mount)), ...nodes.map((node) => nodeMount(device.name, node, facts))];
}

/**
 * A node at a path of the container. What `node` does not say is what the machine has at `hostPath`. Where no node can be made, the
 * machine's own is mounted, which then has to be the one that is meant. Throws DEVICE_INVALID.
 */
export function nodeMount(device: string, node: EditedNode, { userNamespace }: Pick<HostFacts, 'userNamespace'>): NodeMount {
  const { path: target, hostPath, mode, uid, gid, type, number } = node;
  const owner = { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) };
  const rest = { kind: 'device', target, hostPath, mode: (mode ?? 0o666) & 0o777, ...owner } as const;
  if (userNamespace === 'initial' && type !== undefined && number !== undefined) return { ...rest, type, ...number };
  const found = statOf(device, hostPath);
  if (found === undefined) throw badNode(device, hostPath, 'this machine has nothing there');
  const own = { type: found.isBlockDevice() ? 'block' : 'char', ...splitDevice(found.rdev) } as const;
  const isNode = found.isBlockDevice() || found.isCharacterDevice();
  const isSame = number === undefined || (number.major === own.major && number.minor === own.minor);
  if (isNode && isSame && (type ?? own.type) === own.type) return { ...rest, ...own };
  throw badNode(device, hostPath, 'this machine has something else there');
}

function bindOf({ name }: Device, { hostPath, containerPath: target, access, execute }: EditedMount): MountSpec {
  const stat = statOf(name, hostPath);
  if (stat === undefined) throw badNode(name, hostPath, 'this machine has nothing there to mount');
  const type = stat.isDirectory() ? 'directory' : 'file';
  return { kind: 'bind', target, hostPath, access, type, ...(execute === 'never' ? { execute } : {}) };
}

function badNode(device: string, hostPath: string, reason: string): TsbuildError {
  return new TsbuildError('DEVICE_INVALID', `Cannot give a container the device ${device}: ${hostPath}: ${reason}`);
}

/** Links of the machine are followed. */
function statOf(device: string, path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw badNode(device, path, (error as NodeJS.ErrnoException).code ?? String(error));
  }
}
