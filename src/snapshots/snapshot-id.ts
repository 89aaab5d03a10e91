/** What a snapshot's directory is called: short, since a mount of many layers names each. */
import { randomBytes } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';

/** 36^8 of them. */
export function newId(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from(randomBytes(8), (byte) => alphabet[byte % alphabet.length]).join('');
}

/** The ID that a name, a symbolic link, leads to; undefined where there is none, or something else. */
export function idOf(name: string): string | undefined {
  try {
    return basename(readlinkSync(name));
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EINVAL')) return undefined;
    throw error;
  }
}
