/** Whether a step can run: a container is really made, on an overlay in the state directory, for a command that is not there. */
import { closeSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { SyscallError, TsbuildError } from '../../errors.ts';
import { DEFAULT_HOSTNAME, defaultMounts, sandboxLimits } from '../../sandbox/container-defaults.ts';
import type { ContainerSpec } from '../../sandbox/container-spec.ts';
import { hostFacts } from '../../sandbox/host-facts.ts';
import { runContainer } from '../../sandbox/run-container.ts';
import { tryStepUserNamespace } from '../../sandbox/user-namespace/step-user-namespace.ts';
import { idScope } from '../../sys/ids.ts';
import { engineAvailable } from '../../sys/syscall-program-engine.ts';
import type { Attempt } from '../../sys/try-program.ts';
import { attemptText, tryMounts } from './attempts.ts';
import { type Asker, type Finding, isRoot } from './finding.ts';

export interface StepFacts {
  readonly asker: Asker;
  readonly launcher: 'engine' | 'helper';
  readonly mounts: Attempt;
  /** undefined: it works. `untried`: there is no directory to try it in. `namespace`: the user namespace of this user decides. */
  readonly container: Error | 'untried' | 'namespace' | undefined;
  /** The same with mapped ids; only root is asked. */
  readonly mapped: Error | 'untried' | undefined;
}

/** `place`: a directory in the file system of the state directory; undefined where none can be written. */
export async function readStepFacts(asker: Asker, place: string | undefined): Promise<StepFacts> {
  return {
    asker,
    launcher: engineAvailable() ? 'engine' : 'helper',
    mounts: await tryMounts(asker),
    container: place === undefined ? 'untried' : isRoot(asker) ? await tryContainer(place) : 'namespace',
    mapped: place === undefined || !isRoot(asker) || idScope() !== 'machine' ? 'untried' : await tryMapped(place),
  };
}

export function stepFindings(facts: StepFacts): Finding[] {
  return [containerFinding(facts), ...mappedFindings(facts), mountsFinding(facts), launcherFinding(facts)];
}

/** Every operation of a container has been carried out when the command turns out to be missing. */
async function tryContainer(place: string, mapped?: { readonly fd: number; readonly first: number }): Promise<Error | undefined> {
  const directory = mkdtempSync(path.join(place, '.doctor-'));
  try {
    const ids = mapped === undefined ? {} : { userNamespace: { ids: 'all', mapped: { first: mapped.first, files: directory } } as const };
    await runContainer(
      { ...probeSpec(directory), ...ids },
      {
        stdin: 'empty',
        userNamespace: mapped?.fd,
        onOutput: () => undefined,
        signal: new AbortController().signal,
        networks: { take: () => Promise.reject(new Error('This container has no network')) },
      },
    );
    return new Error('A command that is not there was run');
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    return error.code === 'ERR_TSBUILD_RUN_NOT_STARTED' ? undefined : error;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function tryMapped(place: string): Promise<Error | undefined> {
  let namespace: { readonly fd: number; readonly first: number };
  try {
    namespace = tryStepUserNamespace();
  } catch (error) {
    if (error instanceof TsbuildError) return error;
    throw error;
  }
  try {
    return await tryContainer(place, namespace);
  } finally {
    closeSync(namespace.fd);
  }
}

function probeSpec(directory: string): ContainerSpec {
  for (const name of ['lower', 'upper', 'work', 'merged', 'lower/proc', 'lower/dev', 'lower/sys', 'lower/etc']) {
    mkdirSync(path.join(directory, name));
  }
  writeFileSync(path.join(directory, 'lower/etc/hosts'), '');
  return {
    rootfs: { cwd: directory, lower: ['lower'], upper: 'upper', work: 'work', merged: 'merged' },
    mounts: [...defaultMounts(hostFacts()), { kind: 'text', target: '/etc/hosts', text: '' }],
    process: { argv: ['/nothing'], env: [], cwd: '/', uid: 0, gid: 0, groups: [0], umask: 0o022 },
    hostname: DEFAULT_HOSTNAME,
    ...sandboxLimits(hostFacts()),
    network: 'none',
  };
}

function containerFinding({ asker, container }: StepFacts): Finding {
  const about = { group: 'steps', id: 'steps.container', title: 'container' } as const;
  if (container === undefined) return { ...about, state: 'ok', found: 'made one, with an overlay in the state directory' };
  if (container === 'untried') {
    return {
      ...about,
      state: 'missing',
      found: 'not tried',
      means: 'there is no directory to build in',
      fix: 'See the state directory below.',
    };
  }
  if (container === 'namespace') return { ...about, state: 'ok', found: 'made in a user namespace: see without root' };
  return { ...about, state: 'missing', found: reasonOf(container), means: 'RUN cannot run', fix: containerFix(asker) };
}

function mappedFindings({ mapped }: StepFacts): Finding[] {
  if (mapped === 'untried') return [];
  const about = { group: 'steps', id: 'steps.ids', title: 'ids of their own' } as const;
  if (mapped === undefined) return [{ ...about, state: 'ok', found: 'steps can be root of ids that nobody has: --userns=auto' }];
  const fix = 'Linux 5.19 or later, a state directory on ext4, xfs or btrfs, and sysctl user.max_user_namespaces above 0.';
  return [{ ...about, state: 'limited', found: reasonOf(mapped), means: '--userns=auto is refused', fix }];
}

/** The call that was refused says more than what that means for a build. */
function reasonOf(error: Error): string {
  return error.cause instanceof SyscallError ? error.cause.message : error.message;
}

function containerFix(asker: Asker): string {
  return asker.capabilities.includes('CAP_SYS_ADMIN')
    ? 'See what is missing below.'
    : 'Give tsbuild CAP_SYS_ADMIN, or let it make user namespaces; inside Docker: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined; otherwise tsbuild build --isolation=chroot, which isolates less.';
}

function mountsFinding({ mounts }: StepFacts): Finding {
  const about = { group: 'steps', id: 'steps.mounts', title: 'mounts by descriptor', found: attemptText(mounts) } as const;
  if (mounts.outcome === 'works') return { ...about, state: 'ok' };
  return {
    ...about,
    state: mounts.outcome === 'untried' ? 'limited' : 'missing',
    means: mounts.outcome === 'untried' ? 'nobody knows' : 'no root file system can be made for a step',
    fix: 'Linux 5.12 or later, and the right to mount: root, or user namespaces.',
  };
}

function launcherFinding({ launcher }: StepFacts): Finding {
  const about = { group: 'steps', id: 'steps.launcher', title: 'launcher', found: launcher } as const;
  if (launcher === 'engine') return { ...about, state: 'ok' };
  return {
    ...about,
    state: 'limited',
    means: 'a step takes a tenth of a second longer to start: memory cannot become executable, or this is neither x86-64 nor arm64',
    fix: 'Nothing has to be done.',
  };
}
