/** Paths and token scopes of a repository. Source: distribution-spec "Endpoints"; Docker's "Token Scope". */
import type { Reference } from '../oci/reference.ts';

export type Repository = Pick<Reference, 'registry' | 'repository'>;

/** `/v2/library/debian`; safe in a URL, since the reference grammar allows nothing that needs escapes. */
export function repositoryPath({ repository }: Repository): string {
  return `/v2/${repository}`;
}

export function repositoryName({ registry, repository }: Repository): string {
  return `${registry}/${repository}`;
}

export function pullScope(repository: string): string {
  return `repository:${repository}:pull`;
}

export function pushScope(repository: string): string {
  return `repository:${repository}:pull,push`;
}

/** The repository that a request is for, out of its scopes; undefined where it is for none. */
export function repositoryOfScopes(scopes: readonly string[]): string | undefined {
  return /^repository:(.+):[a-z,]+$/.exec(scopes[0] ?? '')?.[1];
}
