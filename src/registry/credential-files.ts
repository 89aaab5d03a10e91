/** Which files hold the user's credentials, in the order in which they are asked. Source: Docker's "config.json properties", containers-auth.json(5). */
import { join } from 'node:path';
import { asMap, type ConfigFields, configError, dockerConfigPath, readDockerConfig } from './docker-config.ts';
import { configHome } from './read-registries.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface CredentialFile {
  readonly path: string;
  /** `may-be-absent`; `named` by the user: it has to be there; `others`: perhaps another user's, who keeps us out. */
  readonly kind: 'may-be-absent' | 'named' | 'others';
}

/** Docker's comes first, since a login of ours writes it; then the one of `REGISTRY_AUTH_FILE`, alone, or the two that podman, buildah and skopeo use. */
export function credentialFiles(dockerConfigDir: string, env: Environment = process.env): readonly CredentialFile[] {
  const docker: CredentialFile = { path: dockerConfigPath(dockerConfigDir), kind: 'may-be-absent' };
  const named = env['REGISTRY_AUTH_FILE'] ?? '';
  if (named !== '') return [docker, { path: named, kind: 'named' }];
  const runtime = env['XDG_RUNTIME_DIR'] ?? '';
  return [
    docker,
    runtime.startsWith('/')
      ? { path: join(runtime, 'containers/auth.json'), kind: 'may-be-absent' }
      : { path: `/run/containers/${process.getuid?.()}/auth.json`, kind: 'others' },
    { path: join(configHome(env), 'containers/auth.json'), kind: 'may-be-absent' },
  ];
}

/** undefined where there is none. Throws REGISTRY_UNAUTHORIZED where it cannot be read: never anonymous by accident. */
export async function readCredentialFile({ path, kind }: CredentialFile): Promise<ConfigFields | undefined> {
  const fields = await readDockerConfig(path, kind === 'others' ? ['ENOENT', 'ENOTDIR', 'EACCES'] : ['ENOENT', 'ENOTDIR']);
  if (fields === undefined && kind === 'named') throw configError(path, 'there is no such file, though REGISTRY_AUTH_FILE names it');
  return fields;
}

export function authsOf(config: ConfigFields): ConfigFields {
  return asMap(config.get('auths')) ?? new Map();
}
