/** Docker's `config.json`: read with distrust, changed without touching what is not ours. Source: Docker's "config.json properties". */
import { constants } from 'node:fs';
import { type FileHandle, open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { waitForLock } from '../sys/lock.ts';
import { makeDirectories } from '../sys/make-directories.ts';
import { replaceMember } from './json-member.ts';

/** Names of a JSON object; a `Map`, since they are foreign. */
export type ConfigFields = ReadonlyMap<string, unknown>;

const ABSENCE: readonly string[] = ['ENOENT', 'ENOTDIR'];
const CONFIG_MAX = 4 * 1024 * 1024;

export function defaultDockerConfigDir(): string {
  const fromEnvironment = process.env.DOCKER_CONFIG ?? '';
  return fromEnvironment === '' ? join(homedir(), '.docker') : fromEnvironment;
}

export function dockerConfigPath(directory: string): string {
  return join(directory, 'config.json');
}

/** undefined where there is no file. Throws REGISTRY_UNAUTHORIZED where it cannot be read: never anonymous by accident. `absence`: codes that say so. */
export async function readDockerConfig(path: string, absence = ABSENCE): Promise<ConfigFields | undefined> {
  const text = await readText(path, absence);
  return text === undefined ? undefined : parseConfig(text, path);
}

/**
 * Replaces the members that `change` returns, each a value for JSON; the rest of the file stays as it is, byte for byte. The
 * new file has mode 0600 and appears by rename; who else changes it by this function waits. Throws LOGIN_FAILED.
 */
export async function changeDockerConfig(
  directory: string,
  change: (config: ConfigFields) => ReadonlyMap<string, unknown> | undefined,
): Promise<void> {
  try {
    makeDirectories(directory, 0o700);
    // A link is somebody's choice of where the file lies: it stays, and its target is replaced.
    const path = await realpath(dockerConfigPath(directory)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return dockerConfigPath(directory);
      throw error;
    });
    await using home = await open(dirname(path), 'r');
    await waitForLock(home.fd, 'exclusive');
    const text = (await readText(path, ABSENCE)) ?? '{}';
    const members = change(parseConfig(text, path));
    if (members === undefined) return;
    const changed = [...members].reduce((before, [name, value]) => replaceMember(before, name, value), text);
    await replace(path, home, `${changed.trimEnd()}\n`);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error) || error instanceof TsbuildError) throw error;
    const path = dockerConfigPath(directory);
    throw new TsbuildError('LOGIN_FAILED', `Cannot write ${path}: ${String(error.code)}`, {
      hint: 'DOCKER_CONFIG names another directory.',
      cause: error,
    });
  }
}

/** One name for what is unfinished, under the lock: what a killed process left is overwritten by the next. */
async function replace(path: string, home: FileHandle, text: string): Promise<void> {
  const aside = `${path}.tsbuild-new`;
  await rm(aside, { force: true });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  try {
    await using file = await open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    await file.writeFile(text);
    await file.sync();
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await home.sync();
}

async function readText(path: string, absence: readonly string[]): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (absence.includes(error.code ?? '')) return undefined;
    throw configError(path, error.code ?? 'unreadable', error);
  });
  if (text === undefined) return undefined;
  if (text.length > CONFIG_MAX) throw configError(path, 'it is larger than 4 MiB');
  // Docker, too, takes an empty file for an empty configuration.
  return text.trim() === '' ? '{}' : text;
}

function parseConfig(text: string, path: string): ConfigFields {
  try {
    const config = asMap(JSON.parse(text));
    if (config === undefined) throw configError(path, 'it is not a JSON object');
    return config;
  } catch (error) {
    // Not the parser's words: they quote the file, which holds secrets.
    if (error instanceof SyntaxError) throw configError(path, 'it is not JSON');
    throw error;
  }
}

export function asMap(value: unknown): ConfigFields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? new Map(Object.entries(value)) : undefined;
}

export function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function configError(path: string, reason: string, cause?: unknown): TsbuildError {
  return new TsbuildError('REGISTRY_UNAUTHORIZED', `Cannot read credentials from ${path}: ${reason}`, {
    hint: 'Repair or remove the file; a login writes it anew.',
    cause,
  });
}
