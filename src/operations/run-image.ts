/** `run`: a stored image's command in the same sandbox as a RUN step, on files that vanish when it ends. */
import { inContainer } from '../builder/execute/in-container.ts';
import { makeWorkdir, ownerOfProcess } from '../builder/execute/workdir-step.ts';
import { cleanWorkdir } from '../builder/plan/config-patch.ts';
import { TsbuildError } from '../errors.ts';
import type { Image } from '../images/image.ts';
import { unpackImage } from '../images/unpack-image.ts';
import type { ContainerConfig } from '../oci/image-config.ts';
import { normalizePlatform, type Platform } from '../oci/platform.ts';
import { needPrivilege } from '../sandbox/privilege.ts';
import { checkedLimits, type ResourceLimits, warnOfLowered } from '../sandbox/resource-limits.ts';
import { needRunnable } from '../sandbox/runnable-architectures.ts';
import { type CommonOptions, openSession, type Session } from '../session.ts';
import { openBaseImages } from './base-image.ts';

export interface RunOptions extends CommonOptions {
  readonly name: string;
  /** Takes the place of the image's Cmd. */
  readonly argv?: readonly string[] | undefined;
  /** `NAME=value` each. */
  readonly env?: readonly string[] | undefined;
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
  /** Takes the place of the image's Entrypoint, and of its Cmd. */
  readonly entrypoint?: string | undefined;
  readonly network?: 'private' | 'none' | 'host' | undefined;
  /** What the container may use. */
  readonly limits?: ResourceLimits | undefined;
  onOutput(stream: 'stdout' | 'stderr', data: Uint8Array): void;
}

/** Exactly one of the two is set. */
export interface RunResult {
  readonly exitCode?: number;
  readonly signal?: string;
  /** The kernel killed a process of it for want of memory: its own limit, or the `machine`'s. */
  readonly outOfMemory?: 'limit' | 'machine';
}

/** Standard input is the caller's. Pulls the image where the store does not have it. */
export async function runImage(options: RunOptions): Promise<RunResult> {
  needPrivilege();
  const limits = checkedLimits(options.limits);
  await using session = await openSession(options);
  warnOfLowered(limits, session.emit);
  const image = await runnableImage(session, options.name);
  const config = image.config.config ?? {};
  const top = image.manifest.layers.length === 0 ? undefined : await unpackImage(session, image);
  const active = session.snapshots.prepare(top);
  try {
    const cwd = cleanWorkdir(config.WorkingDir, options.workdir ?? '');
    const user = options.user ?? config.User ?? '';
    // As other runtimes: a working directory that is not there is made.
    await makeWorkdir(session, active, { path: cwd, ownerIn: ownerOfProcess(user), createdNs: BigInt(Date.now()) * 1_000_000n });
    return await inContainer(session, active, {
      argv: commandOf(config, options),
      env: mergeEnv(config.Env ?? [], options.env ?? []),
      cwd,
      user,
      network: options.network ?? 'private',
      addHosts: [],
      limits,
      stdin: 'inherit',
      onOutput: options.onOutput,
    });
  } finally {
    session.snapshots.discard(active);
  }
}

/** This machine's, or the only one if an emulator can run it. Throws EMULATOR_MISSING before a layer is fetched. */
async function runnableImage(session: Session, name: string): Promise<Image> {
  const bases = openBaseImages(session, 'store');
  const { config } = await bases.resolve(name, session.platform);
  if (!isForMachine(config, session.platform)) needRunnable(normalizePlatform(config), session.platform);
  return await bases.load(name, session.platform);
}

function isForMachine(found: Platform, machine: Platform): boolean {
  return found.os === machine.os && normalizePlatform(found).architecture === machine.architecture;
}

function commandOf(config: ContainerConfig, { name, argv, entrypoint }: RunOptions): string[] {
  const given = argv ?? [];
  const first = entrypoint === undefined ? (config.Entrypoint ?? []) : entrypoint === '' ? [] : [entrypoint];
  const rest = given.length > 0 || entrypoint !== undefined ? given : (config.Cmd ?? []);
  const command = [...first, ...rest];
  if (command.length === 0) {
    throw new TsbuildError('USAGE', `Cannot run ${name}: the image names no command`, { hint: `Give one: tsbuild run ${name} COMMAND.` });
  }
  return command;
}

/** Later values win and keep the earlier place. An entry without `=` names no value, and never the caller's (CVE-2026-57231). */
function mergeEnv(image: readonly string[], given: readonly string[]): string[] {
  const merged = new Map<string, string>();
  for (const text of [...image, ...given]) {
    const equals = text.indexOf('=');
    if (equals > 0) merged.set(text.slice(0, equals), text);
  }
  return [...merged.values()];
}
