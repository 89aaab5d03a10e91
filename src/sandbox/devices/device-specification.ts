/** A specification of the Container Device Interface: what a vendor says that a container needs. Source: CDI SPEC.md 0.3.0 to 1.1.0. */
import { arrayField, type Fields, fieldsOf, has, invalid, requiredString } from '../../oci/json-fields.ts';
import type { JsonValue } from '../../oci/strict-json.ts';
import { closedFields, type DeviceEdits, editsOf } from './device-edits.ts';

export interface Device {
  /** `vendor/class=name` */
  readonly name: string;
  /** Where it is described. */
  readonly file: string;
  /** Those of the specification, and over them its own. */
  readonly annotations: ReadonlyMap<string, string>;
  /** For any device of the file. */
  readonly common: DeviceEdits;
  readonly own: DeviceEdits;
}

const VERSIONS: ReadonlySet<string> = new Set(['0.3.0', '0.4.0', '0.5.0', '0.6.0', '0.7.0', '0.8.0', '1.0.0', '1.1.0']);
const KIND = /^[A-Za-z](?:[\w.-]*[A-Za-z0-9])?\/[A-Za-z](?:[\w.-]*[A-Za-z0-9])?$/;
const NAME = /^[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?$/;
const NAME_MAX = 256;
const DEVICES_MAX = 4096;
const SPECIFICATION = ['cdiVersion', 'kind', 'annotations', 'devices', 'containerEdits'];
const DEVICE = ['name', 'annotations', 'containerEdits'];

/** Whether a text is `vendor/class`. */
export function isKind(text: string): boolean {
  return text.length <= NAME_MAX && KIND.test(text);
}

/** All devices of a file. Throws IMAGE_INVALID, as all readers of documents do, for what the specification does not know. */
export function devicesOf(value: JsonValue, file: string): Device[] {
  const fields = closedFields(value, `the device specification ${file}`, SPECIFICATION);
  const version = requiredString(fields, 'cdiVersion');
  if (!VERSIONS.has(version)) invalid(fields.subject, `its cdiVersion ${JSON.stringify(version.slice(0, 40))} is unknown`);
  const kind = requiredString(fields, 'kind');
  if (!isKind(kind)) invalid(fields.subject, `its kind ${JSON.stringify(kind.slice(0, NAME_MAX))} is not vendor/class`);
  const listed = arrayField(fields, 'devices') ?? [];
  if (listed.length === 0 || listed.length > DEVICES_MAX) invalid(fields.subject, `it has ${listed.length} devices`);
  const shared = { file, kind, annotations: annotationsOf(fields), common: editsIn(fields) };
  const devices = listed.map((each) => deviceOf(each, shared));
  const names = new Set(devices.map(({ name }) => name));
  if (names.size < devices.length) invalid(fields.subject, 'two devices have one name');
  return devices;
}

function deviceOf(
  value: JsonValue,
  { file, kind, annotations, common }: Pick<Device, 'file' | 'annotations' | 'common'> & { readonly kind: string },
): Device {
  const fields = closedFields(value, `a device of ${file}`, DEVICE);
  const name = requiredString(fields, 'name');
  if (name.length > NAME_MAX || !NAME.test(name)) invalid(fields.subject, `${JSON.stringify(name.slice(0, NAME_MAX))} is no name`);
  const named = { ...fields, subject: `the device ${kind}=${name} of ${file}` };
  return { name: `${kind}=${name}`, file, annotations: new Map([...annotations, ...annotationsOf(named)]), common, own: editsIn(named) };
}

function editsIn(fields: Fields): DeviceEdits {
  return editsOf(has(fields, 'containerEdits') ? fields.object['containerEdits'] : Object.create(null), fields.subject);
}

/** What is written as `true` in YAML is a text there, too. */
function annotationsOf(fields: Fields): Map<string, string> {
  if (!has(fields, 'annotations')) return new Map();
  const { object } = fieldsOf(fields.object['annotations'], `the annotations of ${fields.subject}`, []);
  return new Map(
    Object.entries(object).map(([name, text]) => {
      if (typeof text === 'string') return [name, text];
      return typeof text === 'boolean' ? [name, String(text)] : invalid(fields.subject, 'its annotations hold something else than text');
    }),
  );
}
