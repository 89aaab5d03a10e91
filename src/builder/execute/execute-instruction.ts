/** One instruction after FROM: from state to state. Words are expanded here, with the values from before the instruction. */

import { stepKey } from '../../cache/cache-key.ts';
import type { StepEndEvent } from '../../events.ts';
import type { ArgInstruction, FromInstruction } from '../../parser/instruction.ts';
import { isVariableName } from '../plan/build-args.ts';
import type { StageInstruction, Step } from '../plan/build-plan.ts';
import { cleanWorkdir, patchConfig } from '../plan/config-patch.ts';
import { expandInstruction } from '../plan/expand-instruction.ts';
import { historyEntry } from '../plan/history.ts';
import { resolveDeclarations } from '../plan/stage-variables.ts';
import { cachedStep, filesOf, layerOf, type StepResult } from './cached-step.ts';
import { copyStep } from './copy-step.ts';
import { runStep } from './run-step.ts';
import { CREATED_NS, type StageRun } from './stage-run.ts';
import { type StageState, variableOf } from './stage-state.ts';
import { stepAccount } from './step-account.ts';
import { makeWorkdir, ownerByName } from './workdir-step.ts';

export interface InstructionResult {
  readonly state: StageState;
  readonly outcome: Extract<StepEndEvent['outcome'], 'done' | 'cached'>;
  /** The remote cache that had it. */
  readonly from?: string;
}

export async function executeInstruction(run: StageRun, before: StageState, step: Step): Promise<InstructionResult> {
  const written = stageInstruction(step.instruction);
  const expanded = expandInstruction(written, variableOf(before), { escape: run.plan.dockerfile.escape });
  const { state: after, instruction } = withVariables(run, before, expanded);
  const state = patchConfig(after, instruction);
  const made = await makeFiles(run, { before, state, instruction, step });
  const args = new Map([...state.args].map(([name, value]) => [name, state.variables.get(name) ?? value]));
  const entry = historyEntry(instruction, { config: state.config, args, layer: made === undefined ? 'empty' : 'layer' });
  const history = entry === undefined ? state.history : [...state.history, entry];
  if (made === undefined) return { state: { ...state, history }, outcome: 'done' };
  const layers = [...state.layers, { ...layerOf(made), step: step.label.id }];
  const { stage, number, count, text } = step.label;
  const origin = { name: `[${stage} ${number}/${count}] ${text}`, isNew: made.outcome === 'done' };
  const from = made.from === undefined ? {} : { from: made.from };
  return { state: { ...state, history, layers, origin, ...filesAfter(before, made) }, outcome: made.outcome, ...from };
}

/** The next step's key holds the result itself: a step that ran again must not be joined with what stood on its earlier result. */
function filesAfter(before: StageState, made: StepResult): Pick<StageState, 'key' | 'files'> {
  const own = filesOf(made);
  if (made.base === undefined) return { key: made.result, files: own };
  const key = stepKey({ kind: 'laid', parent: before.key, layer: made.result });
  return { key, files: { kind: 'laid', layer: own, below: before.files, key } };
}

interface Making {
  readonly before: StageState;
  /** Variables and config after the instruction; files from before it. */
  readonly state: StageState;
  readonly instruction: StageInstruction;
  readonly step: Step;
}

/** Runs an instruction that makes files; undefined for one that only changes the config. */
async function makeFiles(run: StageRun, { before, state, instruction, step }: Making): Promise<StepResult | undefined> {
  switch (instruction.kind) {
    case 'run':
      return await runStep(run, state, {
        instruction,
        label: step.label,
        mountSources: step.mountSources ?? [],
        devices: step.devices?.devices ?? [],
      });
    case 'copy':
    case 'add':
      return await copyStep(run, before, { instruction, from: step.from, label: step.label });
    case 'workdir':
      return await workdirStep(run, state, step);
    default:
      return undefined;
  }
}

/** The root is always there: WORKDIR / makes no layer. */
async function workdirStep(run: StageRun, state: StageState, { label }: Step): Promise<StepResult | undefined> {
  const { config, files, key: parent } = state;
  if (config.WorkingDir === '/') return undefined;
  const path = cleanWorkdir(config.WorkingDir);
  const user = config.User ?? '';
  const ingredients = { kind: 'workdir', parent, path, user } as const;
  return await cachedStep(run, {
    key: stepKey(ingredients),
    parent,
    files,
    telling: { label, account: async (key) => stepAccount(state, { key, ingredients }), origin: state.origin },
    async make(active) {
      await makeWorkdir(run.resources, active, { path, ownerIn: ownerByName(user), createdNs: CREATED_NS });
    },
  });
}

/** ENV and ARG: what later instructions see, the later of the two winning; and the instruction with an ARG's values resolved. */
function withVariables(
  run: StageRun,
  state: StageState,
  instruction: StageInstruction,
): { state: StageState; instruction: StageInstruction } {
  if (instruction.kind === 'arg') return withArgs(run, state, instruction);
  if (instruction.kind !== 'env') return { state, instruction };
  const variables = new Map([...state.variables, ...instruction.pairs.map(({ key, value }) => [key, value] as const)]);
  return { state: { ...state, variables }, instruction };
}

/** Unlike the pairs of an ENV, a declaration sees those before it on its line. */
function withArgs(run: StageRun, state: StageState, instruction: ArgInstruction): { state: StageState; instruction: ArgInstruction } {
  const variables = new Map(state.variables);
  const args = new Map(state.args);
  const declarations = resolveDeclarations(instruction, state.variables, { args: run.plan.args, escape: run.plan.dockerfile.escape });
  for (const { key, value } of declarations) {
    args.set(key, value ?? '');
    if (value !== undefined && isVariableName(key)) variables.set(key, value);
  }
  return { state: { ...state, variables, args }, instruction: { ...instruction, declarations } };
}

function stageInstruction(instruction: FromInstruction | StageInstruction): StageInstruction {
  if (instruction.kind === 'from') throw new Error('A stage has one FROM, its first step');
  return instruction;
}
