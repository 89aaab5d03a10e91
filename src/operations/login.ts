/** `login`, `logout`: credentials for registries, kept where Docker keeps them. */
import { TsbuildError } from '../errors.ts';
import { parseReference } from '../oci/reference.ts';
import { openConnection } from '../registry/connection.ts';
import { defaultDockerConfigDir, dockerConfigPath } from '../registry/docker-config.ts';
import { checkLogin, forgetCredential, type KeptIn, keepCredential } from '../registry/login.ts';
import { refuseBlocked } from '../registry/places.ts';
import { RegistryError } from '../registry/registry-error.ts';

export interface LoginOptions {
  /** Host with optional port, or an address of it; Docker Hub where absent. */
  readonly registry?: string | undefined;
  readonly username: string;
  readonly password: string;
  readonly signal?: AbortSignal | undefined;
}

export interface LoginResult {
  /** As in references. */
  readonly registry: string;
  /** The credential helper that has the secret, or the file in which it stands for everybody to read who may read the file. */
  readonly keptIn: KeptIn;
  /** What is kept is a token that the registry gave, and not the password. */
  readonly token: boolean;
  /** false: the registry lets everybody in, and did not look. */
  readonly checked: boolean;
}

/** Asks the registry whether it takes the credentials, then keeps them. Throws REGISTRY_UNAUTHORIZED, LOGIN_FAILED and the errors of the way to the registry. */
export async function logIn(options: LoginOptions): Promise<LoginResult> {
  const registry = registryOf(options.registry);
  const { username, password } = options;
  if (username === '' || username.includes(':') || /[\x00-\x1f\x7f]/.test(username)) throw unusable(registry, 'user name');
  if (password === '' || password.includes('\0')) throw unusable(registry, 'password');
  const connection = openConnection({ signal: options.signal ?? new AbortController().signal });
  refuseBlocked(connection.registries, { registry, repository: '' });
  try {
    const { outcome, identity } = await checkLogin(connection, registry, { kind: 'password', username, password });
    const credential =
      identity === undefined ? { kind: 'password' as const, username, password } : { kind: 'identity-token' as const, token: identity };
    const keptIn = await keepCredential(connection.dockerConfigDir, { registry, username, credential });
    return { registry, keptIn, token: identity !== undefined, checked: outcome === 'accepted' };
  } catch (error) {
    if (error instanceof RegistryError && (error.status === 401 || error.code === 'ERR_TSBUILD_REGISTRY_UNAUTHORIZED'))
      throw refused(registry, username, error);
    throw error;
  } finally {
    await connection.transport.close();
  }
}

/** Removes what is kept for the registry. `absent`: there was nothing. */
export async function logOut(
  options: { readonly registry?: string | undefined } = {},
): Promise<{ registry: string; outcome: 'removed' | 'absent'; file: string }> {
  const registry = registryOf(options.registry);
  const directory = defaultDockerConfigDir();
  return { registry, outcome: await forgetCredential(directory, registry), file: dockerConfigPath(directory) };
}

/** `https://host/v1/`, as Docker takes it, is the host; all names of Docker Hub are one. Throws USAGE. */
function registryOf(text = 'docker.io'): string {
  const host = text.replace(/^https?:\/\//, '').replace(/\/(v[12]\/?)?$/, '');
  if (['index.docker.io', 'registry-1.docker.io'].includes(host)) return 'docker.io';
  try {
    const { registry, repository } = parseReference(`${host}/x`);
    if (registry === host && (repository === 'x' || repository === 'library/x')) return registry;
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
  }
  throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text.slice(0, 300))} as a registry: not host[:port]`, {
    hint: 'A registry is what stands before the first slash of an image name, such as ghcr.io or registry.example:5000.',
  });
}

function refused(registry: string, username: string, cause: RegistryError): TsbuildError {
  return new TsbuildError(
    'REGISTRY_UNAUTHORIZED',
    `Cannot log in to ${registry} as ${username}: ${cause.message.replace(/^Cannot log in to [^ ]+: /, '')}`,
    {
      hint: 'Check the user name and the password; some registries want an access token in its place. What was kept before is unchanged.',
      cause,
    },
  );
}

function unusable(registry: string, what: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot log in to ${registry}: the ${what} is empty or has characters that cannot be sent`);
}
