/** Two state directories of one world, both with busybox: what one has built, the other may learn from a remote cache alone. */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { type CommandResult, emptyWorld, makeBusyboxRootfs, type World } from './_world.ts';

export interface TwoStates extends AsyncDisposable {
  readonly world: World;
  readonly a: string;
  readonly b: string;
  /** A build with events; `steps` of each outcome, by their text. */
  build(root: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<TracedBuild>;
  /** Makes `b` as if it had never built. */
  forget(): Promise<void>;
}

export interface TracedBuild {
  readonly result: CommandResult;
  readonly digest: string;
  readonly events: readonly BuildLine[];
  /** Steps that were found, with where. */
  readonly found: ReadonlyMap<string, string>;
  /** Steps that ran, FROM left out. */
  readonly ran: readonly string[];
  readonly warnings: readonly string[];
}

export interface BuildLine {
  readonly kind: string;
  readonly message?: string;
  readonly action?: string;
  readonly steps?: number;
  readonly mounts?: number;
  readonly bytes?: number;
  readonly outcome?: string;
  readonly from?: string;
  readonly id?: string;
  readonly data?: string;
  readonly step?: { readonly text: string };
}

export async function twoStates(world: World = emptyWorld()): Promise<TwoStates> {
  const [a, b] = [path.join(path.dirname(world.root), 'a'), path.join(path.dirname(world.root), 'b')];
  const rootfs = path.join(world.directory, 'base.tar');
  makeBusyboxRootfs(rootfs);
  const start = async (root: string) => void (await world.succeed(['import', rootfs, 'busybox:latest'], { root }));
  await start(a);
  await start(b);
  return {
    ...{ world, a, b },
    async build(root, args, env = {}) {
      const result = await world.tsbuild(['build', '--progress', 'json', '--network=none', ...args], { root, env });
      if (result.code !== 0) throw new Error(`tsbuild ${args.join(' ')} ended with ${result.code}\n${result.stderr.slice(-3000)}`);
      return traced(result);
    },
    async forget() {
      rmSync(b, { recursive: true });
      await start(b);
    },
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
    },
  };
}

function traced(result: CommandResult): TracedBuild {
  const events = result.stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as BuildLine);
  const ends = events.filter(({ kind, step }) => kind === 'step-end' && step !== undefined && !step.text.startsWith('FROM'));
  // A build that starts over tells a step that was found, and has to run, twice.
  const ran = new Set(ends.filter(({ outcome }) => outcome === 'done').map(({ step }) => step?.text ?? ''));
  const found = ends.filter(({ outcome, step }) => outcome === 'cached' && !ran.has(step?.text ?? ''));
  return {
    ...{ result, events, digest: result.stdout.trim(), ran: [...ran] },
    found: new Map(found.map(({ step, from }) => [step?.text ?? '', from ?? 'here'])),
    warnings: events.flatMap(({ kind, message }) => (kind === 'warning' ? (message ?? '') : [])),
  };
}

/** Names of the snapshots that were made or unpacked in a state directory. */
export function snapshotsOf(root: string): string[] {
  return readdirSync(path.join(root, 'snapshots', 'names'));
}
