/** The user's credentials for a registry. Source: Docker's `config.json`. Hosts match exactly: no prefix, no wildcard. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { askCredentialHelper } from './credential-helper.ts';

export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'identity-token'; readonly token: string }
  | { readonly kind: 'bearer'; readonly token: string };

export interface FoundCredential {
  /** undefined = anonymous */
  readonly credential: Credential | undefined;
  /** Where it came from, or where none was found, for hints. */
  readonly source: string;
}

const HUB_KEYS = ['https://index.docker.io/v1/', 'docker.io', 'index.docker.io', 'registry-1.docker.io'];
const CONFIG_MAX = 4 * 1024 * 1024;

export function defaultDockerConfigDir(): string {
  const fromEnvironment = process.env.DOCKER_CONFIG ?? '';
  return fromEnvironment === '' ? join(homedir(), '.docker') : fromEnvironment;
}

/** Looks in credHelpers, credsStore, then auths. Throws REGISTRY_UNAUTHORIZED where the file or a helper is broken: never anonymous by accident. */
export async function findCredential(registry: string, dockerConfigDir: string): Promise<FoundCredential> {
  const path = join(dockerConfigDir, 'config.json');
  const config = await readConfig(path);
  const [server = registry] = serverKeys(registry);
  const helper = asName(config.get('credHelpers'), registry) ?? asText(config.get('credsStore'));
  if (helper !== undefined && helper !== '') {
    const credential = await askCredentialHelper(helper, server);
    if (credential !== undefined) return { credential, source: `the credential helper docker-credential-${helper}` };
  }
  const entry = authEntry(config.get('auths'), registry);
  const credential = entry === undefined ? undefined : parseEntry(entry, path);
  return credential === undefined ? { credential, source: `none, since ${path} has none for ${registry}` } : { credential, source: path };
}

async function readConfig(path: string): Promise<Map<string, unknown>> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return '{}';
    throw configError(path, error.code ?? 'unreadable', error);
  });
  if (text.length > CONFIG_MAX) throw configError(path, 'it is larger than 4 MiB');
  try {
    return asMap(JSON.parse(text)) ?? new Map();
  } catch (error) {
    // Not the parser's words: they quote the file, which holds secrets.
    if (error instanceof SyntaxError) throw configError(path, 'it is not JSON');
    throw error;
  }
}

/** How Docker may have written the registry's key. */
function serverKeys(registry: string): readonly string[] {
  return registry === 'docker.io' ? HUB_KEYS : [registry];
}

function asName(value: unknown, registry: string): string | undefined {
  const helpers = asMap(value);
  const key = serverKeys(registry).find((name) => helpers?.has(name));
  return key === undefined ? undefined : asText(helpers?.get(key));
}

function authEntry(value: unknown, registry: string): Map<string, unknown> | undefined {
  const auths = asMap(value);
  if (auths === undefined) return undefined;
  const keys = serverKeys(registry);
  const exact = keys.find((key) => auths.has(key));
  const found = exact ?? [...auths.keys()].find((key) => keys.includes(withoutVersion(key)));
  return found === undefined ? undefined : asMap(auths.get(found));
}

/** Old Dockers wrote `https://host/v1/`. Any other path means another registry. */
function withoutVersion(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/(v[12]\/?)?$/, '');
}

function parseEntry(entry: Map<string, unknown>, path: string): Credential | undefined {
  const identity = asText(entry.get('identitytoken')) ?? '';
  if (identity !== '') return { kind: 'identity-token', token: identity };
  const bearer = asText(entry.get('registrytoken')) ?? '';
  if (bearer !== '') return { kind: 'bearer', token: bearer };
  const auth = asText(entry.get('auth')) ?? '';
  if (auth !== '') return decodeAuth(auth, path);
  const username = asText(entry.get('username')) ?? '';
  return username === '' ? undefined : { kind: 'password', username, password: asText(entry.get('password')) ?? '' };
}

function decodeAuth(auth: string, path: string): Credential {
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = text.indexOf(':');
  if (colon <= 0) throw configError(path, 'an auth field is not base64 of user:password');
  return { kind: 'password', username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function asMap(value: unknown): Map<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? new Map(Object.entries(value)) : undefined;
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function configError(path: string, reason: string, cause?: unknown): TsbuildError {
  return new TsbuildError('REGISTRY_UNAUTHORIZED', `Cannot read credentials from ${path}: ${reason}`, {
    hint: 'Repair or remove the file; `docker login` writes it anew.',
    cause,
  });
}
