/** What a container gets for a device: `containerEdits` of the Container Device Interface, as a closed set. */
import { arrayField, type Fields, fieldsOf, has, invalid, requiredString, stringArrayField, stringField } from '../../oci/json-fields.ts';
import type { JsonValue } from '../../oci/strict-json.ts';

export interface DeviceEdits {
  /** `NAME=value` each. */
  readonly env: readonly string[];
  readonly nodes: readonly EditedNode[];
  readonly mounts: readonly EditedMount[];
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** What of it tsbuild does not do, such as `the hook createContainer`. */
  readonly unsupported: string | undefined;
}

export interface EditedNode {
  /** In the container. */
  readonly path: string;
  /** Where the machine has it: what is not said here is taken from there. */
  readonly hostPath: string;
  readonly type: 'char' | 'block' | undefined;
  readonly number: { readonly major: number; readonly minor: number } | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

export interface EditedMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly access: 'read-only' | 'read-write';
  readonly execute: 'never' | 'allowed';
}

const EDITS = ['env', 'deviceNodes', 'netDevices', 'hooks', 'mounts', 'intelRdt', 'additionalGids'];
const NODE = ['path', 'hostPath', 'type', 'major', 'minor', 'fileMode', 'permissions', 'uid', 'gid'];
const MOUNT = ['hostPath', 'containerPath', 'options', 'type'];
/** Of a mount; every one is nosuid and nodev, and apart from the machine, whether they say so or not. */
const MOUNT_OPTIONS: ReadonlySet<string> = new Set(
  'ro rw nosuid nodev noexec exec bind rbind private rprivate relatime norelatime noatime nodiratime'.split(' '),
);
const LIST_MAX = 4096;
const PATH_MAX = 4096;
const ID_MAX = 0xffff_fffe;
const MAJOR_MAX = 0xfff; // 12 bits, and 20 for the minor: Linux include/linux/kdev_t.h
const MINOR_MAX = 0xf_ffff;

/** Throws IMAGE_INVALID; `subject` is whose edits they are. */
export function editsOf(value: JsonValue | undefined, subject: string): DeviceEdits {
  const fields = closedFields(value, `containerEdits of ${subject}`, EDITS);
  return {
    env: boundedStrings(fields, 'env').map((text) => variable(fields, text)),
    nodes: bounded(fields, 'deviceNodes').map((node) => nodeOf(node, `a device node of ${subject}`)),
    mounts: bounded(fields, 'mounts').map((mount) => mountOf(mount, `a mount of ${subject}`)),
    groups: bounded(fields, 'additionalGids').map((gid) => whole(gid, { fields, name: 'additionalGids', max: ID_MAX })),
    unsupported: unsupportedIn(fields),
  };
}

/** A device without its hook would be another one than its vendor means. */
function unsupportedIn(fields: Fields): string | undefined {
  const [hook] = bounded(fields, 'hooks');
  if (hook !== undefined) {
    const name = stringField(fieldsOf(hook, `a hook of ${fields.subject}`, ['hookName']), 'hookName') ?? '';
    return `the hook ${JSON.stringify(name.slice(0, 100))}`;
  }
  if (has(fields, 'intelRdt')) return 'intelRdt';
  return has(fields, 'netDevices') ? 'netDevices' : undefined;
}

function nodeOf(value: JsonValue, subject: string): EditedNode {
  const fields = closedFields(value, subject, NODE);
  const path = absolute(fields, requiredString(fields, 'path'));
  const type = stringField(fields, 'type') ?? '';
  if (!['', 'b', 'c', 'u'].includes(type)) invalid(subject, `its type ${JSON.stringify(type.slice(0, 20))} is not b, c or u`);
  needBothWays(fields);
  const number = (name: string, max: number) => optionalWhole(fields, name, max);
  const major = number('major', MAJOR_MAX) ?? 0;
  return {
    path,
    hostPath: absolute(fields, stringField(fields, 'hostPath') ?? path),
    type: type === '' ? undefined : type === 'b' ? 'block' : 'char',
    // As the reference implementation: without a type, or with the major 0, the machine says.
    number: type === '' || major === 0 ? undefined : { major, minor: number('minor', MINOR_MAX) ?? 0 },
    ...{ mode: number('fileMode', 0o7777), uid: number('uid', ID_MAX), gid: number('gid', ID_MAX) },
  };
}

/** There is no device cgroup that could keep a step from writing to what it can read. */
function needBothWays(fields: Fields): void {
  const permissions = stringField(fields, 'permissions') ?? '';
  if (!/^[rwm]*$/.test(permissions)) invalid(fields.subject, `its permissions ${JSON.stringify(permissions.slice(0, 20))} are not of rwm`);
  if (permissions === '' || (permissions.includes('r') && permissions.includes('w'))) return;
  invalid(fields.subject, `tsbuild cannot limit a device to ${JSON.stringify(permissions.slice(0, 20))}`);
}

function mountOf(value: JsonValue, subject: string): EditedMount {
  const fields = closedFields(value, subject, MOUNT);
  const options = boundedStrings(fields, 'options');
  const strange = options.find((option) => !MOUNT_OPTIONS.has(option));
  if (strange !== undefined) invalid(subject, `its option ${JSON.stringify(strange.slice(0, 100))} is not one that tsbuild has`);
  const type = stringField(fields, 'type') ?? 'bind';
  if (!['', 'bind', 'none'].includes(type)) invalid(subject, `its type ${JSON.stringify(type.slice(0, 100))} is not bind`);
  return {
    hostPath: absolute(fields, requiredString(fields, 'hostPath')),
    containerPath: absolute(fields, requiredString(fields, 'containerPath')),
    access: options.includes('ro') ? 'read-only' : 'read-write',
    execute: options.includes('noexec') ? 'never' : 'allowed',
  };
}

/** As the specification asks: a field that is unknown may mean something that a container must not go without. */
export function closedFields(value: JsonValue | undefined, subject: string, known: readonly string[]): Fields {
  const fields = fieldsOf(value, subject, known);
  const strange = Object.keys(fields.object).find((name) => !known.includes(name));
  return strange === undefined ? fields : invalid(subject, `it has an unknown field ${JSON.stringify(strange.slice(0, 100))}`);
}

function bounded(fields: Fields, name: string): readonly JsonValue[] {
  const items = arrayField(fields, name) ?? [];
  return items.length <= LIST_MAX ? items : invalid(fields.subject, `${name} has more than ${LIST_MAX} entries`);
}

function boundedStrings(fields: Fields, name: string): readonly string[] {
  bounded(fields, name);
  return stringArrayField(fields, name) ?? [];
}

function variable(fields: Fields, text: string): string {
  if (/^[^=\0]+=[^\0]*$/.test(text)) return text;
  return invalid(fields.subject, `${JSON.stringify(text.slice(0, 100))} in env is not NAME=value`);
}

/** Without `..`: what is mounted where is to be read off the file. */
function absolute(fields: Fields, path: string): string {
  const names = path.split('/');
  const isPlain = path.startsWith('/') && path.length <= PATH_MAX && !path.includes('\0') && !names.includes('..');
  const clean = `/${names.filter((name) => name !== '' && name !== '.').join('/')}`;
  return isPlain && clean !== '/' ? clean : invalid(fields.subject, `${JSON.stringify(path.slice(0, 200))} is no absolute path of a file`);
}

function optionalWhole(fields: Fields, name: string, max: number): number | undefined {
  return has(fields, name) ? whole(fields.object[name] ?? null, { fields, name, max }) : undefined;
}

function whole(value: JsonValue, { fields, name, max }: { readonly fields: Fields; readonly name: string; readonly max: number }): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) return value;
  return invalid(fields.subject, `${name} is not a whole number up to ${max}`);
}
