/** Which distribution an image is of. Source: os-release(5). */
import type { FileTree } from '../../tree/file-tree.ts';
import { field } from './installed-package.ts';
import { readRecord } from './read-record.ts';

export interface OperatingSystem {
  /** Lower case, such as `debian`. */
  readonly id: string;
  /** Such as `12`; undefined of those that have none. */
  readonly version: string | undefined;
  /** As people read it. */
  readonly name: string;
}

const FILES = ['etc/os-release', 'usr/lib/os-release'];
const BYTES_MAX = 64 << 10;

export function operatingSystem(tree: FileTree): OperatingSystem | undefined {
  for (const file of FILES) {
    const text = readRecord(tree, file, BYTES_MAX);
    if (text === undefined) continue;
    const values = new Map(text.split('\n').flatMap(assignment));
    const id = values.get('ID');
    if (id === undefined || !/^[a-z0-9._-]{1,64}$/.test(id)) return undefined;
    return { id, version: field(values.get('VERSION_ID')), name: field(values.get('PRETTY_NAME')) ?? id };
  }
  return undefined;
}

function assignment(line: string): [string, string][] {
  const [, name, value = ''] = /^([A-Z_]+)=(.*)$/.exec(line.trim()) ?? [];
  if (name === undefined) return [];
  const [, inner] = /^(?:"(.*)"|'(.*)')$/.exec(value) ?? [];
  return [[name, (inner ?? value).replace(/\\(.)/g, '$1')]];
}
