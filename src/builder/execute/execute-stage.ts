/** One stage: its base, then its steps one after the other, each from state to state. */
import { baseKey } from '../../cache/cache-key.ts';
import { milliseconds } from '../../clock.ts';
import { TsbuildError } from '../../errors.ts';
import type { StepEndEvent, StepLabel } from '../../events.ts';
import type { Image } from '../../images/image.ts';
import { normalizePlatform } from '../../oci/platform.ts';
import { familiarName, parseReference } from '../../oci/reference.ts';
import { ExpansionError } from '../../parser/expand.ts';
import type { CopyInstruction } from '../../parser/instruction.ts';
import { locate } from '../../parser/location.ts';
import { UnsoundSnapshot } from '../../snapshots/unsound-snapshot.ts';
import type { ImageSource, Stage, Step } from '../plan/build-plan.ts';
import { DEFAULT_PATH, parseEnv } from '../plan/stage-variables.ts';
import { filesOf, layerOf } from './cached-step.ts';
import { copyStep } from './copy-step.ts';
import { executeInstruction } from './execute-instruction.ts';
import type { LayerSource } from './files.ts';
import { packAhead } from './pack-snapshot.ts';
import { UnusableLayer } from './packed-layer.ts';
import type { StageRun } from './stage-run.ts';
import type { StageState } from './stage-state.ts';

type Outcome = Extract<StepEndEvent['outcome'], 'done' | 'cached'>;

/** The state after the last step. Errors carry the place of the instruction. */
export async function executeStage(run: StageRun, stage: Stage): Promise<StageState> {
  const [from, ...steps] = stage.steps;
  if (from === undefined) throw new Error(`Stage ${stage.name} has no FROM`);
  // Another stage's time is not this step's.
  if (stage.base.kind === 'stage') await run.finished(stage.base);
  let state = await announced(run, from, async () => ({ state: await baseState(run, stage), outcome: 'done' }));
  for (const step of steps) {
    if (step.from?.kind === 'stage') await run.finished(step.from);
    const before = state;
    state = await announced(run, step, async () => await executeInstruction(run, before, step));
    if (run.targetStages.has(stage)) packNewLayer(run, before, state);
  }
  return state;
}

function packNewLayer({ resources }: StageRun, before: StageState, after: StageState): void {
  const layer = after.layers.at(-1);
  if (layer?.kind === 'snapshot' && after.layers !== before.layers && after.origin.isNew) packAhead(resources, layer);
}

/** An image taken as a stage: what `COPY --from=image` reads. */
export async function imageState(run: StageRun, source: ImageSource): Promise<StageState> {
  const platforms = { platform: source.platform, imagePlatform: source.platform };
  return stateOfImage(source, await run.resources.loadBase(source, 'files'), platforms);
}

/** A named context taken as a stage: one layer with all its files. */
export async function contextState(run: StageRun, name: string): Promise<StageState> {
  const empty = { ...EMPTY, platform: run.plan.platform, imagePlatform: run.plan.platform };
  const copied = await copyStep(run, empty, { instruction: COPY_ALL, from: { kind: 'context', name }, label: undefined });
  const history = [{ created_by: `COPY . / # context ${familiarName(parseReference(name))}`, comment: 'buildkit.exporter.image.v0' }];
  const origin = { name: `context ${name}`, isNew: copied.outcome === 'done' };
  return { ...empty, origin, key: copied.result, files: filesOf(copied), layers: [layerOf(copied)], history };
}

/** Emits the step's start and end around `execute`, and puts the place of the instruction on what it throws. */
async function announced(
  run: StageRun,
  step: Step,
  execute: () => Promise<{ state: StageState; outcome: Outcome; from?: string }>,
): Promise<StageState> {
  const { emit, signal } = run.resources;
  signal.throwIfAborted();
  const startedAt = milliseconds();
  const durationMs = () => milliseconds() - startedAt;
  emit({ kind: 'step-start', step: step.label });
  try {
    const { state, outcome, from } = await execute();
    emit({ kind: 'step-end', step: step.label, outcome, durationMs: durationMs(), ...(from === undefined ? {} : { from }) });
    return state;
  } catch (error) {
    if (error instanceof TsbuildError && !signal.aborted) {
      error.at(locate(run.plan.dockerfile, step.instruction, error instanceof ExpansionError ? error.part : undefined));
      if (step.isTrigger === true) error.hinted(`The base of the stage brings ${JSON.stringify(step.label.text.slice(0, 200))}.`);
    }
    emit(failedStep(step.label, { error, durationMs: durationMs(), canceled: signal.aborted || isMadeAgain(error) }));
    throw error;
  }
}

/** What it stands on is no good: the plans are run again. */
function isMadeAgain(error: unknown): boolean {
  return error instanceof UnusableLayer || error instanceof UnsoundSnapshot;
}

function failedStep(
  step: StepLabel,
  { error, durationMs, canceled }: { error: unknown; durationMs: number; canceled: boolean },
): StepEndEvent {
  if (canceled) return { kind: 'step-end', step, outcome: 'canceled', durationMs };
  return { kind: 'step-end', step, outcome: 'failed', durationMs, ...(error instanceof TsbuildError ? { error } : {}) };
}

/** Triggers are steps by now: whoever stands on the result is not to run them again. */
async function baseState(run: StageRun, stage: Stage): Promise<StageState> {
  const { plan } = run;
  const { base, platform } = stage;
  switch (base.kind) {
    case 'scratch':
      return withPath({ ...EMPTY, platform, imagePlatform: plan.platform });
    case 'stage':
      return withoutTriggers({ ...(await run.finished(base)), hasOwnCmd: false });
    case 'context':
      return withPath(await run.finished(base));
    case 'image': {
      const image = await run.resources.loadBase(base, stage.steps.some(({ instruction }) => readsFiles(instruction)) ? 'files' : 'layers');
      // What it is, rather than what was asked for: an image may come in one platform only.
      const own = normalizePlatform(image.config);
      const imagePlatform = plan.isPlatformGiven ? plan.platform : own;
      return withPath(withoutTriggers(stateOfImage(base, image, { platform: own, imagePlatform })));
    }
  }
}

/** A layer by itself (`--link`) needs no file of the base. */
function readsFiles(instruction: Step['instruction']): boolean {
  if (instruction.kind === 'copy' || instruction.kind === 'add') return !instruction.link;
  return instruction.kind === 'run' || instruction.kind === 'workdir';
}

function withoutTriggers(state: StageState): StageState {
  const { OnBuild: _, ...config } = state.config;
  return { ...state, config };
}

const EMPTY: Omit<StageState, 'platform' | 'imagePlatform'> = {
  config: { WorkingDir: '/' },
  author: undefined,
  variables: new Map(),
  args: new Map(),
  key: baseKey([]),
  files: { kind: 'empty' },
  origin: { name: 'scratch', isNew: false },
  layers: [],
  history: [],
  hasOwnCmd: false,
};

/** Nobody wrote it: it has no place. */
const COPY_ALL: CopyInstruction = {
  ...{ kind: 'copy', text: 'COPY . /', range: { startLine: 1, startColumn: 0, endLine: 1, endColumn: 0 } },
  ...{ sources: [{ kind: 'path', path: '.' }], destination: '/', chown: undefined, chmod: undefined, from: undefined },
  ...{ link: false, parents: false, ifExists: false, exclude: [] },
};

function stateOfImage({ reference }: ImageSource, image: Image, platforms: Pick<StageState, 'platform' | 'imagePlatform'>): StageState {
  const diffIds = image.config.rootfs.diff_ids;
  const config = image.config.config ?? {};
  const layers: LayerSource[] = image.manifest.layers.map((descriptor, index) => {
    const diffId = diffIds[index];
    if (diffId === undefined)
      throw new TsbuildError('IMAGE_INVALID', `Cannot use the image ${image.descriptor.digest}: it has more layers than diffIDs`);
    return { kind: 'blob', descriptor, diffId };
  });
  return {
    ...EMPTY,
    ...platforms,
    config,
    author: image.config.author,
    variables: parseEnv(config.Env ?? []),
    key: baseKey(diffIds),
    origin: { name: `image ${reference}`, digest: image.descriptor.digest, isNew: false },
    files: diffIds.length === 0 ? { kind: 'empty' } : { kind: 'image', image },
    layers,
    history: image.config.history ?? [],
  };
}

/** PATH is part of every config, as the peers have it. */
function withPath(state: StageState): StageState {
  if (state.variables.has('PATH')) return state;
  const variables = new Map(state.variables).set('PATH', DEFAULT_PATH);
  return { ...state, variables, config: { ...state.config, Env: [...(state.config.Env ?? []), `PATH=${DEFAULT_PATH}`] } };
}
