/** One stage resolved: what it stands on, which instructions it has with those that its base brings, where they copy from. */
import { TsbuildError } from '../../errors.ts';
import type { Platform } from '../../oci/platform.ts';
import { ExpansionError, expandWord } from '../../parser/expand.ts';
import type { Dockerfile, RunInstruction, Word } from '../../parser/instruction.ts';
import { locate } from '../../parser/location.ts';
import { parseTrigger } from '../../parser/parse-trigger.ts';
import type { MachineDevices } from '../../sandbox/devices/read-devices.ts';
import { type ArgSources, type BaseFacts, imageKey, type StageBase, type StageInstruction, type StepSource } from './build-plan.ts';
import type { DeviceGrants } from './device-grants.ts';
import { type Entitlement, needAllowed } from './entitlements.ts';
import { mountSources } from './mount-sources.ts';
import { type NamedContexts, namedSource } from './named-contexts.ts';
import { basePlatform, resolveBase, resolveCopySource } from './resolve-source.ts';
import type { SourceStage } from './source-stages.ts';
import { DEFAULT_PATH, declaredBy, parseEnv } from './stage-variables.ts';
import { type StepDevices, stepDevices } from './step-devices.ts';

export interface Planner {
  readonly dockerfile: Dockerfile;
  readonly sourceStages: readonly SourceStage[];
  readonly args: ArgSources;
  readonly platform: Platform;
  readonly contexts: NamedContexts;
  /** Architectures that this machine can run, for a base that comes in one only; empty where the caller chose a platform. */
  readonly runnable: readonly string[];
  /** By `imageKey`. */
  readonly images: ReadonlyMap<string, BaseFacts>;
  readonly allowed: ReadonlySet<Entitlement>;
  /** What of devices is allowed. */
  readonly grants: DeviceGrants;
  /** undefined where nobody has looked yet. */
  readonly machine: MachineDevices | undefined;
  /** By number in the Dockerfile. */
  readonly drafts: Map<number, Draft>;
}

/** A stage whose sources are resolved; stages in it are still numbered as in the Dockerfile. */
export interface Draft {
  readonly source: SourceStage;
  readonly base: StageBase;
  readonly platform: Platform;
  /** Triggers of the base first. */
  readonly instructions: readonly StageInstruction[];
  readonly triggerCount: number;
  /** By position in `instructions`: where a COPY --from reads. */
  readonly sources: ReadonlyMap<number, StepSource>;
  /** The same of RUN --mount: one per mount. */
  readonly mounts: ReadonlyMap<number, readonly (StepSource | undefined)[]>;
  /** What a RUN --device gets; undefined where it is not known what devices there are. */
  readonly devices: ReadonlyMap<number, StepDevices | undefined>;
  /** The config of the image at the bottom is known, or there is none: nothing is left out here. */
  readonly isWhole: boolean;
}

/** Most triggers that an image may bring; each becomes a step. */
const TRIGGERS_MAX = 1000;

/** The draft of a stage, and of all that it stands on: from the bottom up, in a loop, since a chain may be long. */
export function draftOf(planner: Planner, stage: SourceStage): Draft {
  const { drafts } = planner;
  const chain: { source: SourceStage; base: StageBase }[] = [];
  for (let at: SourceStage | undefined = stage; at !== undefined && !drafts.has(at.number); ) {
    const written: SourceStage = at;
    const named: StepSource | undefined = placed(planner, written.from, () => replacement(planner, written));
    const source: SourceStage = named === undefined ? written : { ...written, instructions: [] };
    const base: StageBase = named ?? placed(planner, source.from, () => resolveBase(planner, source));
    chain.push({ source, base });
    at = base.kind === 'stage' ? planner.sourceStages[base.index] : undefined;
  }
  for (const { source, base } of chain.reverse()) drafts.set(source.number, draftStage(planner, source, base));
  const draft = drafts.get(stage.number);
  if (draft === undefined) throw new Error(`Stage ${stage.name} has no draft`);
  return draft;
}

/** A named context takes the place of a whole stage of its name. */
function replacement({ contexts, platform }: Planner, { from }: SourceStage): StepSource | undefined {
  return from.as === undefined ? undefined : namedSource(contexts, from.as, platform);
}

function draftStage(planner: Planner, source: SourceStage, base: StageBase): Draft {
  const { dockerfile } = planner;
  const triggers = placed(planner, source.from, () => triggersOf(planner, base));
  const parsed = placed(planner, source.from, () => triggers.map((trigger) => parseTrigger(trigger, source.from)));
  const instructions = [...parsed, ...source.instructions];
  const isWhole =
    base.kind === 'stage'
      ? planner.drafts.get(base.index)?.isWhole === true
      : base.kind !== 'image' || factsOf(planner, base) !== undefined;
  const platform = platformOf(planner, source, base);
  const sources = new Map<number, StepSource>();
  const mounts = new Map<number, readonly (StepSource | undefined)[]>();
  const devices = new Map<number, StepDevices | undefined>();
  for (const [position, instruction] of instructions.entries()) {
    needAllowed(dockerfile, instruction, planner.allowed);
    if (instruction.kind === 'run' && instruction.devices.length > 0) devices.set(position, devicesOf(planner, instruction));
    const named = namedIn(instruction);
    // The config that may set the variables is not known yet.
    if (named === undefined || (!isWhole && named.words.some((word) => word.includes('$')))) continue;
    const expand = (word: Word): string => expandedSource(planner, { base, instructions }, { word, position });
    const resolve = (name: string | undefined) => (name === undefined ? undefined : resolveCopySource(planner, source, { name, platform }));
    const places = placed(planner, instruction, () => named.names(expand).map(resolve), named.flag);
    const [first] = places;
    if (instruction.kind === 'run') mounts.set(position, places);
    else if (first !== undefined) sources.set(position, first);
  }
  return { source, base, platform, instructions, triggerCount: triggers.length, sources, mounts, devices, isWhole };
}

function devicesOf({ dockerfile, machine, grants }: Planner, instruction: RunInstruction): StepDevices | undefined {
  return machine === undefined ? undefined : stepDevices(dockerfile, instruction, { machine, grants });
}

/** What an instruction reads besides the main context. */
interface Named {
  readonly flag: 'from' | 'mount';
  readonly words: readonly Word[];
  /** One per mount, or the one of a COPY. */
  names(expand: (word: Word) => string): readonly (string | undefined)[];
}

function namedIn(instruction: StageInstruction): Named | undefined {
  if (instruction.kind === 'run' && instruction.mounts.length > 0) {
    return { flag: 'mount', words: instruction.mounts, names: (expand) => mountSources(instruction, expand) };
  }
  if (instruction.kind !== 'copy' || instruction.from === undefined) return undefined;
  const { from } = instruction;
  return { flag: 'from', words: [from], names: (expand) => [expand(from)] };
}

/** A stage stands where its base stands: what runs in it are the base's programs. */
function platformOf(planner: Planner, { from }: SourceStage, base: StageBase): Platform {
  if (base.kind === 'stage') return planner.drafts.get(base.index)?.platform ?? planner.platform;
  const wanted = base.kind === 'image' ? base.platform : basePlatform(planner, from);
  const found = base.kind === 'image' && from.platform === undefined ? factsOf(planner, base)?.platform : undefined;
  return found?.os === wanted.os && planner.runnable.includes(found.architecture) ? found : wanted;
}

/** Those of an image's config, or the ONBUILDs of an earlier stage. They are for the direct child alone. */
function triggersOf(planner: Planner, base: StageBase): readonly string[] {
  switch (base.kind) {
    case 'scratch':
    case 'context':
      return [];
    case 'stage':
      return (planner.drafts.get(base.index)?.instructions ?? []).flatMap((each) => (each.kind === 'onbuild' ? each.trigger : []));
    case 'image': {
      const triggers = factsOf(planner, base)?.onBuild ?? [];
      if (triggers.length <= TRIGGERS_MAX) return triggers;
      throw new TsbuildError('IMAGE_INVALID', `Cannot build on ${base.reference}: it has ${triggers.length} ONBUILD triggers`, {
        hint: `At most ${TRIGGERS_MAX} are run.`,
      });
    }
  }
}

function factsOf({ images }: Planner, base: Extract<StageBase, { kind: 'image' }>): BaseFacts | undefined {
  return images.get(imageKey(base));
}

/** A name with its variables. */
function expandedSource(
  planner: Planner,
  stage: Pick<Draft, 'base' | 'instructions'>,
  { word, position }: { readonly word: Word; readonly position: number },
): string {
  if (!word.includes('$')) return word;
  const variables = variablesBefore(planner, stage, position);
  const unset: string[] = [];
  const options = { escape: planner.dockerfile.escape, onUndefined: (name: string) => void unset.push(name) };
  const name = expandWord(word, (key) => variables.get(key), options);
  const [first] = unset;
  const reason = first === undefined ? (name === '' ? 'it is empty after expansion' : undefined) : `the variable ${first} is not set`;
  if (reason === undefined) return name;
  throw new TsbuildError('EXPANSION', `Cannot use ${word.slice(0, 200)} as a source: ${reason}`, {
    hint: 'ARG and ENV of the stage before it count, those before the first FROM only where an ARG of the stage names them.',
  });
}

/** As the instruction at `position` sees them: those of the image at the bottom, then ENV and ARG of each stage upwards. */
function variablesBefore(planner: Planner, stage: Pick<Draft, 'base' | 'instructions'>, position: number): Map<string, string> {
  const parts: (readonly StageInstruction[])[] = [stage.instructions.slice(0, position)];
  let { base } = stage;
  for (let below = draftBelow(planner, base); below !== undefined; below = draftBelow(planner, base)) {
    parts.push(below.instructions);
    base = below.base;
  }
  const env = parseEnv((base.kind === 'image' ? factsOf(planner, base)?.env : undefined) ?? []);
  const variables = env.has('PATH') ? env : env.set('PATH', DEFAULT_PATH);
  const declaring = { args: planner.args, escape: planner.dockerfile.escape };
  for (const instruction of parts.reverse().flat()) {
    const declared = placed(planner, instruction, () => declaredBy(instruction, variables, declaring));
    for (const [name, value] of declared) variables.set(name, value);
  }
  return variables;
}

function draftBelow({ drafts }: Planner, base: StageBase): Draft | undefined {
  return base.kind === 'stage' ? drafts.get(base.index) : undefined;
}

/** Runs `act`; an error of it that has no place gets the instruction's. */
function placed<T>(
  { dockerfile }: Planner,
  instruction: { readonly range: Dockerfile['instructions'][number]['range'] },
  act: () => T,
  flag?: string,
): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof TsbuildError && error.location === undefined) {
      const part = flag === undefined ? undefined : ({ kind: 'flag', name: flag } as const);
      throw error.at(locate(dockerfile, instruction, error instanceof ExpansionError ? error.part : part));
    }
    throw error;
  }
}
