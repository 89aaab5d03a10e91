/** Who somebody is to a registry, and the names under which Docker keeps that. */

export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'identity-token'; readonly token: string }
  | { readonly kind: 'bearer'; readonly token: string };

const HUB_KEYS = ['https://index.docker.io/v1/', 'docker.io', 'index.docker.io', 'registry-1.docker.io'];

/** How Docker may have written the registry's key; the first is what it writes today. */
export function serverKeys(registry: string): readonly [string, ...string[]] {
  return registry === 'docker.io' ? (HUB_KEYS as [string, ...string[]]) : [registry];
}

/** Old Dockers wrote `https://host/v1/`. Any other path means a part of a registry. */
export function withoutVersion(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/(v[12]\/?)?$/, '');
}
