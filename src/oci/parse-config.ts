/** Foreign image config bytes → an ImageConfig that can be trusted in form. Source: OCI image-spec config.md; Docker's extra fields as in image-config.ts. */
import { parseDigest } from './digest.ts';
import type { ContainerConfig, HistoryEntry, ImageConfig } from './image-config.ts';
import {
  arrayField,
  booleanField,
  type Fields,
  fieldsOf,
  has,
  invalid,
  requiredString,
  setField,
  stringArrayField,
  stringField,
  stringMapField,
} from './json-fields.ts';
import { parseStrictJson } from './strict-json.ts';

/** Largest image config read. */
export const CONFIG_BYTES_MAX = 8 << 20;

const KNOWN = ['created', 'author', 'architecture', 'os', 'variant', 'config', 'rootfs', 'history'];
const STRINGS = ['User', 'WorkingDir', 'StopSignal'] as const;
const LISTS = ['Env', 'Entrypoint', 'Cmd', 'Shell', 'OnBuild'] as const;
const SETS = ['ExposedPorts', 'Volumes'] as const;
const CONTAINER = [...STRINGS, ...LISTS, ...SETS, 'Labels', 'ArgsEscaped', 'Healthcheck'];
const HISTORY = ['created', 'created_by', 'author', 'comment', 'empty_layer'];

/** Keeps the fields that image-config.ts names and drops the rest. Throws IMAGE_INVALID. */
export function parseImageConfig(bytes: Uint8Array, subject: string): ImageConfig {
  if (bytes.length > CONFIG_BYTES_MAX) invalid(subject, `it is larger than ${CONFIG_BYTES_MAX} bytes`);
  const fields = fieldsOf(parseStrictJson(bytes, subject), subject, KNOWN);
  const history = arrayField(fields, 'history');
  return {
    ...present({
      created: stringField(fields, 'created'),
      author: stringField(fields, 'author'),
      variant: stringField(fields, 'variant') || undefined,
      config: has(fields, 'config') ? parseContainerConfig(fields) : undefined,
      history: history?.map((item, i) => parseHistoryEntry(fieldsOf(item, `history[${i}] of ${subject}`, HISTORY))),
    }),
    architecture: requiredString(fields, 'architecture'),
    os: requiredString(fields, 'os'),
    rootfs: parseRootfs(fields),
  };
}

function parseRootfs(fields: Fields): ImageConfig['rootfs'] {
  const rootfs = fieldsOf(fields.object.rootfs, `rootfs of ${fields.subject}`, ['type', 'diff_ids']);
  if (requiredString(rootfs, 'type') !== 'layers') invalid(fields.subject, 'rootfs.type is not layers');
  return { type: 'layers', diff_ids: (stringArrayField(rootfs, 'diff_ids') ?? []).map(parseDigest) };
}

function parseContainerConfig(outer: Fields): ContainerConfig {
  const fields = fieldsOf(outer.object.config, `config of ${outer.subject}`, CONTAINER);
  const healthcheck = has(fields, 'Healthcheck') ? fieldsOf(fields.object.Healthcheck, `Healthcheck of ${outer.subject}`, []) : undefined;
  return present({
    ...Object.fromEntries(STRINGS.map((name) => [name, stringField(fields, name)])),
    ...Object.fromEntries(LISTS.map((name) => [name, stringArrayField(fields, name)])),
    ...Object.fromEntries(SETS.map((name) => [name, setField(fields, name)])),
    Labels: stringMapField(fields, 'Labels'),
    ArgsEscaped: booleanField(fields, 'ArgsEscaped'),
    Healthcheck: healthcheck?.object,
  });
}

function parseHistoryEntry(fields: Fields): HistoryEntry {
  return present({
    created: stringField(fields, 'created'),
    created_by: stringField(fields, 'created_by'),
    author: stringField(fields, 'author'),
    comment: stringField(fields, 'comment'),
    empty_layer: booleanField(fields, 'empty_layer'),
  });
}

/** Drops the fields that are undefined. The names come from the tables above, never from the document. */
function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
