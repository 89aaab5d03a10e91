/** The secrets that a build may use, by id: read when first asked for, kept in memory, and told to nobody else. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { Secrets } from '../builder/execute/resources.ts';
import { TsbuildError } from '../errors.ts';
import { forbidDumps } from '../sys/core-limit.ts';

/** Where a secret's value comes from: a file, a variable of this process, or the value itself. */
export type SecretSource = { readonly file: string } | { readonly env: string } | { readonly value: string | Uint8Array };

/** As BuildKit's limit. */
const BYTES_MAX = 500 * 1024;

/**
 * Throws SECRET_INVALID at once for a file that is not there or too large, before anything runs. From now on this process leaves no dump
 * of its memory when it crashes.
 */
export function openSecrets(sources: Readonly<Record<string, SecretSource>>): Secrets {
  const known = new Map(Object.entries(sources));
  if (known.size > 0) forbidDumps();
  for (const [id, source] of known) if ('file' in source) checkFile(id, source.file);
  const values = new Map<string, Buffer | undefined>();
  return {
    read(id) {
      const source = known.get(id);
      if (source === undefined) return undefined;
      if (!values.has(id)) values.set(id, readSource(id, source));
      return values.get(id);
    },
  };
}

function checkFile(id: string, file: string): void {
  try {
    const stat = statSync(file);
    if (stat.isDirectory()) throw cannotRead(id, `${file} is a directory`);
    if (stat.size > BYTES_MAX) throw tooLong(id);
  } catch (error) {
    throw error instanceof TsbuildError ? error : cannotRead(id, `${file}: ${(error as NodeJS.ErrnoException).code}`, error);
  }
}

function readSource(id: string, source: SecretSource): Buffer | undefined {
  if ('file' in source) return readBounded(id, source.file);
  const value = 'env' in source ? process.env[source.env] : source.value;
  if (value === undefined) return undefined;
  const bytes = Buffer.from(value);
  if (bytes.length > BYTES_MAX) throw tooLong(id);
  return bytes;
}

/** It may be a pipe, as a shell's `<(command)` is: its size is not known ahead. */
function readBounded(id: string, file: string): Buffer {
  const buffer = Buffer.alloc(BYTES_MAX + 1);
  let length = 0;
  try {
    const fd = openSync(file, 'r');
    try {
      for (let read = -1; read !== 0 && length < buffer.length; length += read)
        read = readSync(fd, buffer, length, buffer.length - length, null);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw cannotRead(id, `${file}: ${(error as NodeJS.ErrnoException).code}`, error);
  }
  if (length > BYTES_MAX) throw tooLong(id);
  return buffer.subarray(0, length);
}

function cannotRead(id: string, reason: string, cause?: unknown): TsbuildError {
  return new TsbuildError('SECRET_INVALID', `Cannot read the secret ${JSON.stringify(id)}: ${reason}`, { cause });
}

function tooLong(id: string): TsbuildError {
  return new TsbuildError('SECRET_INVALID', `Cannot use the secret ${JSON.stringify(id)}: it is longer than 500 KiB`);
}
