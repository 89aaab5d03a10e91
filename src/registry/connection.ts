/** What the client and a login share: the way to registries, as the user's files and the caller's options say. */
import { defaultCertificatesDirs } from './certificates.ts';
import { defaultDockerConfigDir } from './docker-config.ts';
import { type Endpoint, endpointOf } from './endpoint.ts';
import { readRegistries } from './read-registries.ts';
import type { Registries } from './registries.ts';
import { type RetryOptions, type RetryPolicy, retryPolicy } from './retry.ts';
import { openTransport, type Transport } from './transport.ts';

export interface ConnectionOptions {
  readonly signal: AbortSignal;
  /** Directory of Docker's `config.json`; default: `DOCKER_CONFIG`, else `~/.docker`. */
  readonly dockerConfigDir?: string | undefined;
  /** Registries (host or host:port, as in references) that may speak plain HTTP; loopback hosts always may. */
  readonly insecureRegistries?: readonly string[] | undefined;
  /** Each with a directory for each host; default: where Docker and podman look. The last one wins where one can. */
  readonly certificatesDirs?: readonly string[] | undefined;
  /** What the user says of registries; default: `registries.json`, where that is found. */
  readonly registries?: Registries | undefined;
  readonly retry?: RetryOptions | undefined;
  readonly userAgent?: string | undefined;
  /** Longest silence while an answer or a body should move; default one minute. */
  readonly idleMs?: number | undefined;
  /** Longest wait for a connection; default 20 seconds. */
  readonly connectMs?: number | undefined;
}

export interface Connection {
  readonly transport: Transport;
  readonly endpointOf: (registry: string) => Endpoint;
  readonly registries: Registries;
  readonly dockerConfigDir: string;
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal;
  readonly userAgent: string;
}

/** Reads registries.json, opens no socket and loads no HTTP library before the first request; close its transport. */
export function openConnection(options: ConnectionOptions): Connection {
  const { signal, userAgent = 'tsbuild', insecureRegistries = [] } = options;
  const { idleMs = 60_000, connectMs = 20_000, registries = readRegistries() } = options;
  const dockerConfigDir = options.dockerConfigDir ?? defaultDockerConfigDir();
  const certificatesDirs = options.certificatesDirs ?? defaultCertificatesDirs(dockerConfigDir);
  const plain = [...insecureRegistries, ...[...registries.entries].flatMap(([name, { insecure }]) => (insecure ? [name] : []))];
  return {
    transport: openTransport({ signal, idleMs, connectMs, certificates: { directories: certificatesDirs, registries } }),
    endpointOf: (registry) => endpointOf(registry, plain),
    ...{ registries, dockerConfigDir },
    policy: retryPolicy(options.retry),
    ...{ signal, userAgent },
  };
}
