/** What a record tells of a build's plans and of the layers of its result: plain values. */
import { imagePurl } from '../attestations/package-url.ts';
import type { BuildPlan, Stage, Step } from '../builder/plan/build-plan.ts';
import { describePlan } from '../builder/plan/describe-plan.ts';
import { targetStages } from '../builder/plan/target-stages.ts';
import { loadImage } from '../images/image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { formatPlatform } from '../oci/platform.ts';
import { familiarName, parseReference } from '../oci/reference.ts';
import type { RecordedImage } from '../records/build-record.ts';
import type { PlanLine, PlannedStage } from '../records/record-lines.ts';
import type { Session } from '../session.ts';
import { type FinishedBuild, planAt, targetStates } from './finished-build.ts';

const ADDRESS = /^(?:https?|git|ssh):\/\/|^git@/i;

/** Stages that platforms share are told once. */
export function recordedPlan(plans: readonly BuildPlan[], network: string): Omit<PlanLine, 'kind'> {
  const stages = new Map<string, PlannedStage>();
  for (const plan of plans) {
    const described = describePlan(plan, network);
    const names = new Map([...[...described.ids].map(([label, id]) => [id, label] as const), ...imageNames(plan)]);
    const steps = described.steps.map(({ inputs, lines }) => ({ inputs: inputs.map((input) => names.get(input) ?? input), lines }));
    let position = 0;
    for (const stage of plan.stages) {
      const own = stage.steps.map((step) => {
        const { id, number, count, text } = step.label;
        const { inputs, lines } = steps[position++] ?? { inputs: [], lines: { start: 1, end: 1 } };
        return { id, number, count, text, lines, inputs: readsContext(step) ? [...inputs, 'context:'] : inputs };
      });
      const key = own[0]?.id ?? stage.name;
      if (!stages.has(key)) {
        stages.set(key, { name: stage.name, platform: formatPlatform(stage.platform), base: baseOf(plan, stage), steps: own });
      }
    }
  }
  const { file, text } = planAt(plans, 0).dockerfile;
  return { dockerfile: { name: file, text }, stages: [...stages.values()] };
}

/** The main one, which has no name. */
function readsContext({ instruction, from }: Step): boolean {
  const isCopy = instruction.kind === 'copy' || instruction.kind === 'add';
  return isCopy && from === undefined && instruction.sources.some((source) => source.kind === 'path' && !ADDRESS.test(source.path));
}

/** As people write them. */
function imageNames({ images }: BuildPlan): (readonly [string, string])[] {
  return images.map(({ reference, platform }) => [
    reference.startsWith('oci-layout://') ? 'oci-layout' : imagePurl(reference, platform),
    shownImage(reference),
  ]);
}

function shownImage(reference: string): string {
  return `image:${reference.startsWith('oci-layout://') ? reference : familiarName(parseReference(reference))}`;
}

function baseOf(plan: BuildPlan, { base }: Stage): string {
  switch (base.kind) {
    case 'scratch':
      return 'scratch';
    case 'stage':
      return `stage:${plan.stages[base.index]?.name ?? ''}`;
    case 'context':
      return `context:${base.name}`;
    case 'image':
      return shownImage(base.reference);
  }
}

/** Of the images that `descriptor`, a manifest or an index, is or lists. */
export async function recordedImages({ store }: Session, build: FinishedBuild, descriptor: Descriptor): Promise<RecordedImage[]> {
  const images: RecordedImage[] = [];
  for (const [position, state] of targetStates(build).entries()) {
    const plan = planAt(build.plans, position);
    const { manifest } = await loadImage(store, descriptor, state.imagePlatform);
    const base = rootLabel(plan);
    const layers = manifest.layers.map(({ digest, size, mediaType }, i) => {
      const source = state.layers[i];
      return { digest, size, mediaType, step: (source?.kind === 'snapshot' ? source.step : undefined) ?? base };
    });
    images.push({ platform: formatPlatform(state.imagePlatform), layers });
  }
  return images;
}

/** The FROM whose image is the lowest layers of the result. */
function rootLabel(plan: BuildPlan): string {
  return [...targetStages(plan)].at(-1)?.steps[0]?.label.id ?? '';
}
