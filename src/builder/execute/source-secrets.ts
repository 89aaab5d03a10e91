/** Secrets that open sources: what `--secret id=GIT_AUTH_TOKEN` and its kin say for which host. Source: Docker's reference, "ADD", "Private repositories". */
import { TsbuildError } from '../../errors.ts';

/** `BuildResources.secrets` is one. */
export interface SecretReader {
  /** undefined where the caller gave none of that id. */
  read(id: string): Buffer | undefined;
}

/**
 * The Authorization header for a git repository on `host` (with its port): of the secret that names the host, or, for the host of the
 * address that the user wrote, of the one that names none. undefined without a secret.
 */
export function gitAuthorization(secrets: SecretReader | undefined, host: string, whose: 'own' | 'other'): string | undefined {
  for (const suffix of [`.${host}`, ...(whose === 'own' ? [''] : [])]) {
    const header = secretText(secrets, `GIT_AUTH_HEADER${suffix}`);
    if (header !== undefined) return header;
    const token = secretText(secrets, `GIT_AUTH_TOKEN${suffix}`);
    if (token !== undefined) return `Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
  }
  return undefined;
}

/** The same for a file of `url`. */
export function httpAuthorization(secrets: SecretReader | undefined, { host, hostname }: URL): string | undefined {
  for (const name of new Set([host, hostname])) {
    const header = secretText(secrets, `HTTP_AUTH_HEADER_${name}`);
    if (header !== undefined) return header;
    const token = secretText(secrets, `HTTP_AUTH_TOKEN_${name}`);
    if (token !== undefined) return `Bearer ${token}`;
  }
  return undefined;
}

/** Without the line break that a file ends with. */
function secretText(secrets: SecretReader | undefined, id: string): string | undefined {
  const value = secrets
    ?.read(id)
    ?.toString()
    .replace(/\r?\n$/, '');
  if (value === undefined || value === '') return undefined;
  if (/^[\x20-\x7e]+$/.test(value)) return value;
  throw new TsbuildError('FETCH_FAILED', `Cannot use the secret ${id}: it holds what no header can`);
}
