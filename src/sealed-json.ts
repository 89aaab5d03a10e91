/**
 * JSON that tells when a bit of it has changed on the disk: an object whose last member is the sha256 of the text without it.
 * Who does not know of it reads an object with one member more.
 */
import { createHash } from 'node:crypto';

const START = ',"sha256":"';
const END = '"}';
const SEAL_LENGTH = START.length + 64 + END.length;

/** One line. `value` has at least one member, and none of that name. */
export function sealedJson(value: object): string {
  const text = JSON.stringify(value);
  return `${text.slice(0, -1)}${START}${sealOf(text)}${END}`;
}

/** Without the seal; undefined where the text is not what `sealedJson` returned, to the bit. */
export function openSealedJson(text: string): Record<string, unknown> | undefined {
  const body = `${text.slice(0, -SEAL_LENGTH)}}`;
  if (text.slice(-SEAL_LENGTH) !== `${START}${sealOf(body)}${END}`) return undefined;
  return JSON.parse(body);
}

function sealOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
