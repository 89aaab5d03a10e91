/** The user's credentials for a repository. Source: Docker's `config.json`, containers-auth.json(5). Hosts match exactly: no prefix, no wildcard. */
import { type Credential, serverKeys, withoutVersion } from './credential.ts';
import { authsOf, type CredentialFile, readCredentialFile } from './credential-files.ts';
import { askCredentialHelper } from './credential-helper.ts';
import { asMap, asText, type ConfigFields, configError } from './docker-config.ts';

export interface FoundCredential {
  /** undefined = anonymous */
  readonly credential: Credential | undefined;
  /** Where it came from, or where none was found, for hints. */
  readonly source: string;
}

/** Whose credentials: those of a namespace of the registry come before those of all of it. */
export interface CredentialQuestion {
  readonly registry: string;
  /** undefined: the whole registry. */
  readonly repository?: string | undefined;
}

/** How files are read and helpers asked. */
export interface CredentialReaders {
  readonly read: (file: CredentialFile) => Promise<ConfigFields | undefined>;
  readonly ask: (name: string, server: string) => Promise<Credential | undefined>;
}

const DIRECTLY: CredentialReaders = { read: readCredentialFile, ask: askCredentialHelper };

/** As `findCredential`, with each file read once, and each helper asked once about each server. */
export function rememberingCredentials(files: readonly CredentialFile[]): (question: CredentialQuestion) => Promise<FoundCredential> {
  const answers = new Map<string, Promise<Credential | undefined>>();
  const contents = new Map<string, Promise<ConfigFields | undefined>>();
  const readers: CredentialReaders = {
    ask: (name, server) => remembered(answers, `${name} ${server}`, () => askCredentialHelper(name, server)),
    read: (file) => remembered(contents, file.path, () => readCredentialFile(file)),
  };
  return (question) => findCredential(question, files, readers);
}

function remembered<T>(known: Map<string, Promise<T>>, key: string, find: () => Promise<T>): Promise<T> {
  const found = known.get(key) ?? find();
  known.set(key, found);
  return found;
}

/** The first file that has any credential for the repository. Throws REGISTRY_UNAUTHORIZED where a file or a helper is broken: never anonymous by accident. */
export async function findCredential(
  question: CredentialQuestion,
  files: readonly CredentialFile[],
  readers: CredentialReaders = DIRECTLY,
): Promise<FoundCredential> {
  const without: string[] = [];
  for (const [index, file] of files.entries()) {
    const config = await readers.read(file);
    const found = config === undefined ? undefined : await findIn(config, file.path, { question, ask: readers.ask });
    if (found !== undefined) return found;
    // The first is the one that a login would write.
    if (config !== undefined || index === 0) without.push(file.path);
  }
  const verb = without.length > 1 ? 'have' : 'has';
  return { credential: undefined, source: `none, since ${without.join(' and ')} ${verb} none for ${question.registry}` };
}

/** Looks for the nearest namespace in auths (`host/team/app`, `host/team`), then for the host in credHelpers, credsStore and auths. */
async function findIn(
  config: ConfigFields,
  path: string,
  { question: { registry, repository }, ask }: { question: CredentialQuestion; ask: CredentialReaders['ask'] },
): Promise<FoundCredential | undefined> {
  const auths = authsOf(config);
  const keys = serverKeys(registry);
  const near = namespacesOf(repository).map((namespace) =>
    authEntry(
      auths,
      keys.map((key) => `${withoutVersion(key)}/${namespace}`),
    ),
  );
  const own = near.find((entry) => entry !== undefined);
  const namespaced = own === undefined ? undefined : parseEntry(own, path);
  if (namespaced !== undefined) return { credential: namespaced, source: path };
  const helper = helperOf(config, registry);
  if (helper !== undefined) {
    const credential = await ask(helper, keys[0]);
    if (credential !== undefined) return { credential, source: `the credential helper docker-credential-${helper}` };
  }
  const entry = authEntry(auths, keys);
  const credential = entry === undefined ? undefined : parseEntry(entry, path);
  return credential === undefined ? undefined : { credential, source: path };
}

/** The program that keeps this registry's secrets, by its name without `docker-credential-`. */
export function helperOf(config: ConfigFields, registry: string): string | undefined {
  const helpers = asMap(config.get('credHelpers'));
  const key = serverKeys(registry).find((name) => helpers?.has(name));
  // An empty name says: not with a helper.
  const name = key === undefined ? asText(config.get('credsStore')) : asText(helpers?.get(key));
  return name === '' ? undefined : name;
}

/** Keys of `auths` that mean one of `keys`, whatever scheme and version Docker has written around them. */
export function keysMeaning(auths: ConfigFields, keys: readonly string[]): string[] {
  return [
    ...keys.filter((key) => auths.has(key)),
    ...[...auths.keys()].filter((key) => !keys.includes(key) && keys.includes(withoutVersion(key))),
  ];
}

/** `team/app` → `team/app`, `team`. */
function namespacesOf(repository: string | undefined): string[] {
  const parts = repository?.split('/') ?? [];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
}

function authEntry(auths: ConfigFields, keys: readonly string[]): ConfigFields | undefined {
  const [key] = keysMeaning(auths, keys);
  return key === undefined ? undefined : asMap(auths.get(key));
}

function parseEntry(entry: ConfigFields, path: string): Credential | undefined {
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
