/** Instructions → build plan. Pure: no file, no clock, no network; equal inputs give equal plans. */
import { TsbuildError } from '../../errors.ts';
import type { Platform } from '../../oci/platform.ts';
import { expandWord } from '../../parser/expand.ts';
import type { ArgInstruction, Dockerfile } from '../../parser/instruction.ts';
import { locate } from '../../parser/location.ts';
import { platformArgs } from './build-args.ts';
import type { ArgSources, BuildPlan, Stage, StageBase, Step, StepSource } from './build-plan.ts';
import { type Entitlement, needAllowed } from './entitlements.ts';
import { mountSources } from './mount-sources.ts';
import { type NamedContexts, namedSource } from './named-contexts.ts';
import { resolveBase, resolveCopySource } from './resolve-source.ts';
import { chooseTarget, type SourceStage, splitStages } from './source-stages.ts';
import { needSupported } from './unsupported.ts';

export interface PlanOptions {
  /** Name of a stage, case ignored; undefined: the last stage. */
  readonly target?: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly platform: Platform;
  readonly buildPlatform: Platform;
  /** They win over stages and images of their names. */
  readonly contexts?: NamedContexts | undefined;
  /** By default nothing that needs it. */
  readonly allowed?: ReadonlySet<Entitlement>;
}

/**
 * The stages that the target needs, in an order in which they can be built. Throws, with a location where there is
 * one: STAGE_NOT_FOUND, STAGE_CYCLE, EXPANSION, REFERENCE_INVALID, UNSUPPORTED, DOCKERFILE_SYNTAX.
 */
export function planBuild(dockerfile: Dockerfile, options: PlanOptions): BuildPlan {
  const { globals, stages } = splitStages(dockerfile);
  const target = chooseTarget(stages, options.target);
  const args = resolveGlobalArgs(dockerfile, globals, { ...options, targetStage: target.from.as });
  const planner: Planner = {
    dockerfile,
    sourceStages: stages,
    args,
    platform: options.platform,
    contexts: options.contexts ?? new Map(),
    allowed: options.allowed ?? new Set(),
    planned: new Map(),
  };
  const needed = collectNeeded(planner, target);
  // Stages refer to earlier ones only, so that the Dockerfile's order is an order to build in.
  const ordered = [...needed.values()].toSorted((a, b) => a.source.number - b.source.number);
  const positions = new Map(ordered.map(({ source }, index) => [source.number, index]));
  return {
    dockerfile,
    stages: ordered.map((draft, index) => finishStage(draft, { index, positions, platform: options.platform })),
    target: ordered.length - 1,
    platform: options.platform,
    args,
  };
}

interface Planner {
  readonly dockerfile: Dockerfile;
  readonly sourceStages: readonly SourceStage[];
  readonly args: ArgSources;
  readonly platform: Platform;
  readonly contexts: NamedContexts;
  readonly allowed: ReadonlySet<Entitlement>;
  readonly planned: Map<number, Draft>;
}

/** A stage whose sources are resolved; stages in it are still numbered as in the Dockerfile. */
interface Draft {
  readonly source: SourceStage;
  readonly base: StageBase;
  /** By position in `source.instructions`: where a COPY --from reads. */
  readonly sources: ReadonlyMap<number, StepSource>;
  /** The same of RUN --mount: one per mount. */
  readonly mounts: ReadonlyMap<number, readonly (StepSource | undefined)[]>;
}

/** ARGs before the first FROM, in order: `--build-arg` wins over the default, which is then not even looked at. */
function resolveGlobalArgs(
  dockerfile: Dockerfile,
  globals: readonly ArgInstruction[],
  options: PlanOptions & { readonly targetStage: string | undefined },
): ArgSources {
  const globalArgs = platformArgs(options, options.targetStage);
  for (const name of globalArgs.keys()) globalArgs.set(name, options.buildArgs.get(name) ?? globalArgs.get(name) ?? '');
  for (const instruction of globals) {
    const expand = (word: string): string =>
      placed(dockerfile, instruction, () => expandWord(word, (name) => globalArgs.get(name), { escape: dockerfile.escape }));
    for (const { key: name, value } of instruction.declarations) {
      const resolved = options.buildArgs.get(name) ?? (value === undefined ? undefined : expand(value));
      if (resolved !== undefined) globalArgs.set(name, resolved);
    }
  }
  return { globalArgs, buildArgs: options.buildArgs };
}

/** Walks from the target to everything that it stands on; a list of what is left, since a chain may be long. */
function collectNeeded(planner: Planner, target: SourceStage): Map<number, Draft> {
  const { planned, sourceStages } = planner;
  const open = [target];
  for (let stage = open.pop(); stage !== undefined; stage = open.pop()) {
    if (planned.has(stage.number)) continue;
    const draft = draftStage(planner, stage);
    planned.set(stage.number, draft);
    for (const source of [draft.base, ...draft.sources.values(), ...[...draft.mounts.values()].flat()]) {
      const needed = source?.kind === 'stage' ? sourceStages[source.index] : undefined;
      if (needed !== undefined) open.push(needed);
    }
  }
  return planned;
}

function draftStage(planner: Planner, source: SourceStage): Draft {
  const { dockerfile, contexts } = planner;
  const replaced = source.from.as === undefined ? undefined : namedSource(contexts, source.from.as);
  if (replaced !== undefined) return { source: { ...source, instructions: [] }, base: replaced, sources: new Map(), mounts: new Map() };
  const base = placed(dockerfile, source.from, () => resolveBase(planner, source));
  const sources = new Map<number, StepSource>();
  const mounts = new Map<number, readonly (StepSource | undefined)[]>();
  for (const [position, instruction] of source.instructions.entries()) {
    needSupported(dockerfile, instruction);
    needAllowed(dockerfile, instruction, planner.allowed);
    if (instruction.kind === 'run' && instruction.mounts.length > 0) {
      const resolve = (name: string | undefined) => (name === undefined ? undefined : resolveCopySource(planner, source, name));
      mounts.set(
        position,
        placed(dockerfile, instruction, () => mountSources(instruction, literalOnly).map(resolve), 'mount'),
      );
    }
    if (instruction.kind !== 'copy' || instruction.from === undefined) continue;
    const { from } = instruction;
    sources.set(
      position,
      placed(dockerfile, instruction, () => resolveCopySource(planner, source, from), 'from'),
    );
  }
  return { source, base, sources, mounts };
}

/** What a mount reads from must be known before anything runs. */
function literalOnly(word: string): string {
  if (!word.includes('$')) return word;
  throw new TsbuildError('UNSUPPORTED', `Cannot use ${word.slice(0, 200)} as the source of a mount: variables are not expanded there`, {
    hint: 'Give the image a name with FROM ... AS name, where variables are expanded, and mount from that name.',
  });
}

interface Finish {
  readonly index: number;
  /** Number in the Dockerfile → position in the plan. */
  readonly positions: ReadonlyMap<number, number>;
  readonly platform: Platform;
}

function finishStage({ source, base, sources, mounts }: Draft, { index, positions, platform }: Finish): Stage {
  const renumber = <S extends StageBase>(place: S): S =>
    place.kind === 'stage' ? { ...place, index: positions.get(place.index) ?? -1 } : place;
  const all = [source.from, ...source.instructions];
  const steps = all.map((instruction, position): Step => {
    const from = sources.get(position - 1);
    const mountedFrom = mounts.get(position - 1)?.map((place) => place && renumber(place));
    const label = {
      id: `${source.id}/${position + 1}`,
      stage: source.name,
      number: position + 1,
      count: all.length,
      text: instruction.text,
    };
    return {
      ...{ label, instruction },
      ...(from === undefined ? {} : { from: renumber(from) }),
      ...(mountedFrom === undefined ? {} : { mountSources: mountedFrom }),
    };
  });
  return { index, name: source.name, base: renumber(base), platform, steps };
}

/** Runs `act`; an error of it that has no place gets the instruction's. */
function placed<T>(
  dockerfile: Dockerfile,
  instruction: { readonly range: Dockerfile['instructions'][number]['range'] },
  act: () => T,
  flag?: string,
): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof TsbuildError && error.location === undefined) {
      throw error.at(locate(dockerfile, instruction, flag === undefined ? undefined : { kind: 'flag', name: flag }));
    }
    throw error;
  }
}
