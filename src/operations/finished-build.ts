/** What is known of one platform's build, out of its plan and of what happened: plain values for provenance. */
import type { BuildFacts } from '../attestations/build-facts.ts';
import { imageMaterial, sortedMaterials } from '../attestations/materials.ts';
import type { BuildResources } from '../builder/execute/resources.ts';
import type { StageState } from '../builder/execute/stage-state.ts';
import { isProxyName, unusedBuildArgs } from '../builder/plan/build-args.ts';
import type { BuildPlan } from '../builder/plan/build-plan.ts';
import { describePlan } from '../builder/plan/describe-plan.ts';
import type { AssembledImage } from '../images/assembled-image.ts';
import { loadImage } from '../images/image.ts';
import { type Descriptor, plainDescriptor } from '../oci/descriptor.ts';
import { formatPlatform } from '../oci/platform.ts';
import { isSecretName } from '../parser/lint/secrets-used-in-arg-or-env.ts';
import type { Session } from '../session.ts';
import type { BaseImages } from './base-image.ts';
import type { BuildOptions } from './build.ts';
import type { BuildInput } from './build-input.ts';

/** What is known when all steps have run: one plan, and the states of all its stages, for each platform. */
export interface FinishedBuild {
  readonly resources: BuildResources;
  readonly plans: readonly BuildPlan[];
  readonly stages: readonly (readonly StageState[])[];
  readonly input: Pick<BuildInput, 'materials' | 'origin'>;
  readonly bases: BaseImages;
  readonly startedAt: Date;
}

/** Of the stage that each plan is for. */
export function targetStates({ plans, stages }: FinishedBuild): StageState[] {
  return plans.map(({ target }, position) => {
    const state = stages[position]?.[target];
    if (state === undefined) throw new Error('The target of a plan has run');
    return state;
  });
}

interface Told {
  readonly position: number;
  readonly options: BuildOptions;
}

export async function factsOf(
  session: Session,
  { plans, input, bases }: FinishedBuild,
  { position, options, layers }: Told & Pick<BuildFacts, 'layers'>,
): Promise<Omit<BuildFacts, 'invocation'>> {
  const plan = planAt(plans, position);
  const described = describePlan(plan, options.network ?? 'default');
  const images = await Promise.all(
    plan.images.map(async ({ reference, platform }) => imageMaterial(reference, platform, await bases.root(reference, platform))),
  );
  return {
    ...input.origin,
    ...described,
    ...argsOf(plan, options),
    target: options.target,
    builderPlatform: formatPlatform(session.platform),
    materials: sortedMaterials([...images, ...input.materials.of(plan)]),
    dockerfile: { name: input.origin.entryPoint ?? 'Dockerfile', text: plan.dockerfile.text },
    layers,
  };
}

/** Those that nothing took are nobody's business; what a name calls a secret, and proxies, which have passwords, are left out. */
function argsOf(plan: BuildPlan, { buildArgs = {}, labels = {} }: BuildOptions): Pick<BuildFacts, 'args' | 'isEveryArgTold'> {
  const unused = new Set(unusedBuildArgs(plan, plan.args.buildArgs));
  const given = Object.entries(buildArgs).filter(([name]) => !unused.has(name));
  const told = given.filter(([name]) => !isSecretName(name) && !isProxyName(name));
  return {
    args: Object.fromEntries([
      ...told.map(([name, value]) => [`build-arg:${name}`, value] as const),
      ...Object.entries(labels).map(([name, value]) => [`label:${name}`, value] as const),
    ]),
    isEveryArgTold: told.length === given.length,
  };
}

/** Layers of the image by the steps that made them; those of the base are its FROM's. */
export async function layersOf(
  session: Session,
  build: FinishedBuild,
  { image, position, options }: Told & { readonly image: AssembledImage },
): Promise<BuildFacts['layers']> {
  const { manifest } = await loadImage(session.store, image.descriptor, image.config);
  const { ids, baseStep } = describePlan(planAt(build.plans, position), options.network ?? 'default');
  const layers = new Map<string, Descriptor[]>();
  for (const [i, source] of (targetStates(build)[position]?.layers ?? []).entries()) {
    const layer = manifest.layers[i];
    const step = (source.kind === 'snapshot' ? ids.get(source.step ?? '') : undefined) ?? baseStep;
    if (layer === undefined) throw new Error('An image has the layers of its state');
    layers.set(step, [...(layers.get(step) ?? []), plainDescriptor(layer)]);
  }
  return layers;
}

export function planAt(plans: readonly BuildPlan[], position: number): BuildPlan {
  const plan = plans[position];
  if (plan === undefined) throw new Error('Each platform has a plan');
  return plan;
}
