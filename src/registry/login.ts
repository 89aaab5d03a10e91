/** Checks credentials with their registry, and keeps or removes them as Docker does. Source: Docker's `login` and `logout`. */
import { type Authorizer, openAuthorizer } from './authorizer.ts';
import type { Connection } from './connection.ts';
import { type Credential, serverKeys } from './credential.ts';
import { authsOf } from './credential-files.ts';
import { eraseFromHelper, storeInHelper } from './credential-helper.ts';
import { helperOf, keysMeaning } from './credentials.ts';
import { asMap, type ConfigFields, changeDockerConfig, dockerConfigPath, readDockerConfig } from './docker-config.ts';
import { openRequester } from './requester.ts';
import { type FetchToken, tokenFetcher } from './token.ts';

export interface CheckedLogin {
  /** `unasked`: the registry lets everybody in and did not look at the credentials. */
  readonly outcome: 'accepted' | 'unasked';
  /** The token server's, to be kept instead of the password. */
  readonly identity: string | undefined;
}

type Password = Extract<Credential, { kind: 'password' }>;

/** Throws REGISTRY_UNAUTHORIZED where the registry or its token server refuses, and the errors of the way there. */
export async function checkLogin(connection: Connection, registry: string, credential: Password): Promise<CheckedLogin> {
  let asked = false;
  let identity: string | undefined;
  const fetchPlain = tokenFetcher(connection);
  const fetchToken: FetchToken = async (endpoint, realm, question) => {
    const token = await fetchPlain(endpoint, realm, { ...question, offline: true });
    identity = token.identity;
    return token;
  };
  const findCredential = async () => {
    asked = true;
    return { credential, source: `those of ${credential.username} that were to be kept` };
  };
  const authorizer = openAuthorizer({ findCredential, fetchToken, now: connection.policy.now });
  await ping(connection, registry, authorizer);
  if (asked) return { outcome: 'accepted', identity };
  // Whoever lets everybody in may still refuse who says a wrong name.
  const basic = `Basic ${Buffer.from(`${credential.username}:${credential.password}`, 'utf8').toString('base64')}`;
  await ping(connection, registry, { ...authorizer, known: async () => basic, answer: async () => undefined });
  return { outcome: 'unasked', identity };
}

async function ping(connection: Connection, registry: string, authorizer: Authorizer): Promise<void> {
  const requester = openRequester({ ...connection, authorizer });
  const response = await requester.send({
    ...{ method: 'GET', registry, target: '/v2/', scopes: [], accept: [200], action: `log in to ${registry}` },
  });
  response.discard();
}

/** Where credentials are kept: a helper of the user's, or the file, where everybody who reads it has them. */
export type KeptIn = { readonly helper: string } | { readonly file: string };

/** Keeps `credential` for `registry`. An identity token goes with the name of its user. Throws LOGIN_FAILED, or REGISTRY_UNAUTHORIZED where the file is broken. */
export async function keepCredential(
  dockerConfigDir: string,
  login: { registry: string; username: string; credential: Credential },
): Promise<KeptIn> {
  const { registry, credential } = login;
  const [key] = serverKeys(registry);
  const file = dockerConfigPath(dockerConfigDir);
  const helper = helperOf((await readDockerConfig(file)) ?? new Map(), registry);
  if (helper !== undefined) await storeInHelper(helper, key, credential);
  // Docker, too, leaves an empty entry for what a helper has: tools list the registries by it.
  const entry = helper === undefined ? entryOf(login) : {};
  await changeDockerConfig(dockerConfigDir, (config) => new Map([['auths', withEntry(config, registry, entry)]]));
  return helper === undefined ? { file } : { helper };
}

/** `absent`: nobody knew the registry. */
export async function forgetCredential(dockerConfigDir: string, registry: string): Promise<'removed' | 'absent'> {
  const config = (await readDockerConfig(dockerConfigPath(dockerConfigDir))) ?? new Map();
  const helper = helperOf(config, registry);
  if (helper !== undefined) await eraseFromHelper(helper, serverKeys(registry)[0]);
  if (keysMeaning(authsOf(config), serverKeys(registry)).length === 0) return 'absent';
  await changeDockerConfig(dockerConfigDir, (current) => new Map([['auths', withEntry(current, registry, undefined)]]));
  return 'removed';
}

function entryOf({ username, credential }: { username: string; credential: Credential }): object {
  const password = credential.kind === 'password' ? credential.password : '';
  const auth = Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
  return credential.kind === 'password' ? { auth } : { auth, identitytoken: credential.token };
}

/** All other entries as they are; those that mean the same registry by another spelling would come first, and go. */
function withEntry(config: ConfigFields, registry: string, entry: object | undefined): Record<string, unknown> {
  const keys = serverKeys(registry);
  const auths = new Map(authsOf(config));
  const old = asMap(auths.get(keys[0])) ?? new Map();
  for (const key of keysMeaning(auths, keys)) auths.delete(key);
  // A field that we do not know stays; the secrets that we know go.
  const kept = [...old].filter(([name]) => !SECRETS.has(name));
  if (entry !== undefined) auths.set(keys[0], { ...Object.fromEntries(kept), ...entry });
  return Object.fromEntries(auths);
}

const SECRETS: ReadonlySet<string> = new Set(['auth', 'username', 'password', 'identitytoken', 'registrytoken']);
