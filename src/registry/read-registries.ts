/** Finds `registries.json`: the one that the environment names, else the user's, else the machine's. One file counts, whole. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { NO_REGISTRIES, parseRegistries, type Registries } from './registries.ts';

const FILE_MAX = 1024 * 1024;

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws CONFIGURATION_INVALID, also where the file that the environment names is not there. */
export function readRegistries(env: Environment = process.env): Registries {
  const named = env['TSBUILD_REGISTRIES'] ?? '';
  if (named !== '') return readFrom(named) ?? unreadable(named, 'TSBUILD_REGISTRIES names it, and it is not there');
  for (const file of [join(configHome(env), 'tsbuild/registries.json'), '/etc/tsbuild/registries.json']) {
    const found = readFrom(file);
    if (found !== undefined) return found;
  }
  return NO_REGISTRIES;
}

/** `$XDG_CONFIG_HOME`, where that is absolute. Source: XDG Base Directory Specification. */
export function configHome(env: Environment): string {
  const home = env['XDG_CONFIG_HOME'] ?? '';
  return home.startsWith('/') ? home : join(homedir(), '.config');
}

function readFrom(file: string): Registries | undefined {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    return unreadable(file, code ?? 'it cannot be opened', error);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return unreadable(file, 'it is no file');
    if (stat.size > FILE_MAX) return unreadable(file, 'it is larger than 1 MiB');
    return parseRegistries(readFileSync(fd), file);
  } finally {
    closeSync(fd);
  }
}

function unreadable(file: string, reason: string, cause?: unknown): never {
  throw new TsbuildError('CONFIGURATION_INVALID', `Cannot read ${file}: ${reason}`, {
    hint: 'docs/registries.md describes the file.',
    cause,
  });
}
