/** The mounts of a RUN: what of them goes into its key, and what they are in the container. */
import path from 'node:path';
import { TsbuildError, unreachable } from '../../errors.ts';
import type { RunInstruction } from '../../parser/instruction.ts';
import { type CacheMount, type Mount, parseMount, type TmpfsMount } from '../../parser/mount.ts';
import type { MountSpec } from '../../sandbox/container-spec.ts';
import type { ActiveSnapshot } from '../../snapshots/snapshotter.ts';
import type { StepSource } from '../plan/build-plan.ts';
import { scriptPath } from '../plan/command-argv.ts';
import { bindMount } from './bind-mount.ts';
import { cacheMounts } from './cache-mount.ts';
import { secretMount } from './secret-mount.ts';
import { sshMount } from './ssh-mount.ts';
import type { StageRun } from './stage-run.ts';

/** One mount (or the caches of a step together), absolute. */
export interface RunMount {
  /** Ingredients of the step's key. */
  identity(): Promise<readonly string[]>;
  /** Makes what is needed for a step on this snapshot; the step is over when it is disposed. */
  open(active: ActiveSnapshot): Promise<OpenMount>;
}

export interface OpenMount extends AsyncDisposable {
  readonly specs: readonly MountSpec[];
  /** Variables that the step gets: the later of a name wins. */
  readonly env: ReadonlyMap<string, string>;
}

interface Mounting {
  readonly instruction: RunInstruction;
  /** One per mount. */
  readonly sources: readonly (StepSource | undefined)[];
  /** Expands variables as the step sees them. */
  readonly expand: (word: string) => string;
  /** WORKDIR. */
  readonly cwd: string;
}

/** Throws DOCKERFILE_SYNTAX, EXPANSION. */
export function runMounts(run: StageRun, { instruction, sources, expand, cwd }: Mounting): RunMount & { readonly hasSecrets: boolean } {
  // What a mount reads from was resolved while planning.
  const parsed = instruction.mounts.map((text) => parseMount(text, expand));
  const mounts = parsed.map((mount, index) => {
    const number = parsed.slice(0, index).filter(({ type }) => type === mount.type).length;
    return withTarget(mount, { cwd, from: sources[index], number });
  });
  const caches = mounts.flatMap(({ mount, target, from }) => (mount.type === 'cache' ? [{ mount, target, from }] : []));
  const parts = mounts.flatMap(({ mount, ...place }) => (mount.type === 'cache' ? [] : [runMount(run, mount, place)]));
  const scripts = instruction.command.form === 'file' ? [scriptMount(instruction.command)] : [];
  const hasSecrets = parsed.some(({ type }) => type === 'secret' || type === 'ssh');
  return { ...together([...parts, ...(caches.length === 0 ? [] : [cacheMounts(run, caches)]), ...scripts]), hasSecrets };
}

export interface MountPlace {
  /** Absolute. */
  readonly target: string;
  readonly from: StepSource | undefined;
  /** Among the step's mounts of its type. */
  readonly number: number;
}

function withTarget(
  mount: Mount,
  { cwd, from, number }: Omit<MountPlace, 'target'> & { readonly cwd: string },
): MountPlace & { mount: Mount } {
  const target = path.posix.resolve('/', cwd, mount.target ?? defaultTarget(mount, number));
  if (target !== '/' && !target.includes('\0')) return { mount, target, from, number };
  throw new TsbuildError('DOCKERFILE_SYNTAX', `Cannot mount on ${JSON.stringify(mount.target)}: it is the root of the container`, {
    hint: 'Give the mount a target of its own, such as target=/src.',
  });
}

function defaultTarget(mount: Mount, number: number): string {
  return mount.type === 'secret'
    ? path.posix.join('/run/secrets', mount.id)
    : mount.type === 'ssh'
      ? `/run/buildkit/ssh_agent.${number}`
      : '';
}

function runMount(run: StageRun, mount: Exclude<Mount, CacheMount>, place: MountPlace): RunMount {
  switch (mount.type) {
    case 'bind':
      return bindMount(run, mount, place);
    case 'tmpfs':
      return tmpfsMount(mount, place);
    case 'secret':
      return secretMount(run, mount, place);
    case 'ssh':
      return sshMount(run, mount, place);
    default:
      return unreachable(mount);
  }
}

function tmpfsMount({ bytes, access }: TmpfsMount, { target }: MountPlace): RunMount {
  const spec: MountSpec = { kind: 'tmpfs', target, access, ...(bytes === undefined ? {} : { bytes }) };
  return plain(['tmpfs', target, String(bytes), access], spec);
}

/** Executed from memory, so that nothing of it is in the layer. */
function scriptMount({ name, body }: { readonly name: string; readonly body: string }): RunMount {
  const target = scriptPath(name);
  const bytes = Buffer.from(body).toString('base64');
  return plain(['script', target, body], { kind: 'bytes', target, bytes, owner: { mode: 0o755, uid: 0, gid: 0 } });
}

function plain(identity: readonly string[], spec: MountSpec): RunMount {
  return {
    identity: async () => identity,
    open: async () => ({ specs: [spec], env: new Map(), async [Symbol.asyncDispose]() {} }),
  };
}

function together(parts: readonly RunMount[]): RunMount {
  return {
    async identity() {
      const all: string[] = [];
      for (const part of parts) {
        const own = await part.identity();
        all.push(String(own.length), ...own);
      }
      return all;
    },
    async open(active) {
      const open: OpenMount[] = [];
      const close = async (): Promise<void> => {
        for (let last = open.pop(); last !== undefined; last = open.pop()) await last[Symbol.asyncDispose]();
      };
      try {
        for (const part of parts) open.push(await part.open(active));
      } catch (error) {
        await close();
        throw error;
      }
      return {
        specs: open.flatMap(({ specs }) => specs),
        env: new Map(open.flatMap(({ env }) => [...env])),
        [Symbol.asyncDispose]: close,
      };
    },
  };
}
