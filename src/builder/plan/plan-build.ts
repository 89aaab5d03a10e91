/** Instructions → build plan. Pure: no file, no clock, no network; equal inputs give equal plans. */
import { type SourceRange, TsbuildError } from '../../errors.ts';
import { formatPlatform, normalizePlatform, type Platform, samePlatform } from '../../oci/platform.ts';
import { ExpansionError, expandWord } from '../../parser/expand.ts';
import type { ArgInstruction, Dockerfile } from '../../parser/instruction.ts';
import { locate } from '../../parser/location.ts';
import type { MachineDevices } from '../../sandbox/devices/read-devices.ts';
import { platformArgs } from './build-args.ts';
import { type ArgSources, type BaseFacts, type BuildPlan, imageKey, type Stage, type StageBase, type Step } from './build-plan.ts';
import { deviceGrants } from './device-grants.ts';
import { type Draft, draftOf, type Planner } from './draft-stage.ts';
import type { Entitlement } from './entitlements.ts';
import type { NamedContexts } from './named-contexts.ts';
import { chooseTarget, type SourceStage, splitStages } from './source-stages.ts';

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
  /** Where it is missing and a RUN wants one, the plan says so, and does not judge it. */
  readonly machine?: MachineDevices | undefined;
  /** Set where nobody chose `platform`: a base image that comes for one of these architectures only is then taken as it is. */
  readonly runnable?: readonly string[] | undefined;
  /** Labels of steps begin with the platform, where one build makes several. */
  readonly labels?: 'plain' | 'with-platform' | undefined;
  /** By `imageKey`. Where one of `BuildPlan.images` is missing, the plan may lack what its config brings. */
  readonly images?: ReadonlyMap<string, BaseFacts> | undefined;
}

/**
 * The stages that the target needs, in an order in which they can be built. Throws, with a location where there is
 * one: STAGE_NOT_FOUND, STAGE_CYCLE, EXPANSION, REFERENCE_INVALID, NOT_ALLOWED, DEVICE_NOT_FOUND, UNSUPPORTED, DOCKERFILE_SYNTAX.
 */
export function planBuild(dockerfile: Dockerfile, options: PlanOptions): BuildPlan {
  const { globals, stages } = splitStages(dockerfile);
  const target = chooseTarget(stages, options.target);
  const args = resolveGlobalArgs(dockerfile, globals, { ...options, targetStage: target.from.as });
  const { platform, runnable, images = new Map(), contexts = new Map(), allowed = new Set() } = options;
  const planner: Planner = {
    ...{ dockerfile, sourceStages: stages, args, platform, images, contexts },
    runnable: runnable ?? [],
    ...{ allowed, grants: deviceGrants(allowed), machine: options.machine },
    drafts: new Map(),
  };
  const needed = collectNeeded(planner, target);
  // Stages refer to earlier ones only, so that the Dockerfile's order is an order to build in.
  const ordered = needed.toSorted((a, b) => a.source.number - b.source.number);
  const positions = new Map(ordered.map(({ source }, index) => [source.number, index]));
  return {
    dockerfile,
    stages: ordered.map((draft, index) => finishStage(draft, { index, positions, platform, labels: options.labels ?? 'plain' })),
    target: ordered.length - 1,
    platform,
    isPlatformGiven: runnable === undefined,
    args,
    images: imagesOf(ordered),
    devices: ordered.some(({ devices }) => [...devices.values()].includes(undefined)) ? 'unknown' : 'known',
  };
}

/** In the order of the Dockerfile. */
function imagesOf(drafts: readonly Draft[]): BuildPlan['images'] {
  const images = new Map<string, BuildPlan['images'][number]>();
  for (const { source, base, sources, mounts, instructions } of drafts) {
    const add = (place: StageBase, { range }: { readonly range: SourceRange }): void => {
      if (place.kind === 'image' && !images.has(imageKey(place))) images.set(imageKey(place), { ...place, range });
    };
    add(base, source.from);
    for (const [position, place] of sources) add(place, instructions[position] ?? source.from);
    for (const [position, places] of mounts)
      for (const place of places) if (place !== undefined) add(place, instructions[position] ?? source.from);
  }
  return [...images.values()];
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
    const expand = (word: string): string => expandGlobal(dockerfile, instruction, { word, before: globalArgs });
    for (const { key: name, value } of instruction.declarations) {
      const resolved = options.buildArgs.get(name) ?? (value === undefined ? undefined : expand(value));
      if (resolved !== undefined) globalArgs.set(name, resolved);
    }
  }
  return { globalArgs, buildArgs: options.buildArgs };
}

function expandGlobal(
  dockerfile: Dockerfile,
  instruction: ArgInstruction,
  { word, before }: { readonly word: string; readonly before: ReadonlyMap<string, string> },
): string {
  try {
    return expandWord(word, (name) => before.get(name), { escape: dockerfile.escape });
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    throw error.at(locate(dockerfile, instruction, error instanceof ExpansionError ? error.part : undefined));
  }
}

/** Walks from the target to everything that it stands on; a list of what is left, since a chain may be long. */
function collectNeeded(planner: Planner, target: SourceStage): Draft[] {
  const needed = new Map<number, Draft>();
  const open = [target];
  for (let stage = open.pop(); stage !== undefined; stage = open.pop()) {
    if (needed.has(stage.number)) continue;
    const draft = draftOf(planner, stage);
    needed.set(stage.number, draft);
    for (const source of [draft.base, ...draft.sources.values(), ...[...draft.mounts.values()].flat()]) {
      const next = source?.kind === 'stage' ? planner.sourceStages[source.index] : undefined;
      if (next !== undefined) open.push(next);
    }
  }
  return [...needed.values()];
}

interface Finish {
  readonly index: number;
  /** Number in the Dockerfile → position in the plan. */
  readonly positions: ReadonlyMap<number, number>;
  /** Of the build. */
  readonly platform: Platform;
  readonly labels: 'plain' | 'with-platform';
}

function finishStage(draft: Draft, finish: Finish): Stage {
  const { source, base, sources, mounts, devices, instructions, triggerCount, platform } = draft;
  const renumber = <S extends StageBase>(place: S): S =>
    place.kind === 'stage' ? { ...place, index: finish.positions.get(place.index) ?? -1 } : place;
  const all = [source.from, ...instructions];
  const prefix = finish.labels === 'plain' ? '' : `${stagePlatform(platform, finish.platform)} `;
  const steps = all.map((instruction, position): Step => {
    const from = sources.get(position - 1);
    const mountedFrom = mounts.get(position - 1)?.map((place) => place && renumber(place));
    const given = devices.get(position - 1);
    const isTrigger = position > 0 && position <= triggerCount;
    const label = {
      id: `${prefix}${source.id}/${position + 1}`,
      stage: `${prefix}${source.name}`,
      number: position + 1,
      count: all.length,
      text: isTrigger ? `ONBUILD ${instruction.text}` : instruction.text,
    };
    return {
      ...{ label, instruction },
      ...(from === undefined ? {} : { from: renumber(from) }),
      ...(mountedFrom === undefined ? {} : { mountSources: mountedFrom }),
      ...(given === undefined ? {} : { devices: given }),
      ...(isTrigger ? { isTrigger } : {}),
    };
  });
  return { index: finish.index, name: source.name, base: renumber(base), platform, steps };
}

/** `linux/amd64->arm64`: runs on the one, is for the other. */
function stagePlatform(platform: Platform, target: Platform): string {
  if (samePlatform(platform, target)) return formatPlatform(platform);
  const { os, ...rest } = normalizePlatform(target);
  return `${formatPlatform(platform)}->${formatPlatform({ os: os === platform.os ? '' : os, ...rest })}`;
}
