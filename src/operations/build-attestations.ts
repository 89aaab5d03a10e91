/** The attestations of one build: what is told of the plan and of what happened, as statements about each output. */
import { randomBytes } from 'node:crypto';
import { type AttestationForm, checkSize, putAttestations } from '../attestations/attestation-manifest.ts';
import type { AttestationRequest, ProvenanceRequest, SbomRequest } from '../attestations/attestation-request.ts';
import type { BuildFacts } from '../attestations/build-facts.ts';
import { fileSubjects } from '../attestations/file-subjects.ts';
import { imageMaterial, sortedMaterials } from '../attestations/materials.ts';
import { imagePurl } from '../attestations/package-url.ts';
import { provenance } from '../attestations/provenance.ts';
import { type Predicate, type Subject, statementBytes } from '../attestations/statement.ts';
import type { BuildResources } from '../builder/execute/resources.ts';
import type { StageState } from '../builder/execute/stage-state.ts';
import { isProxyName, unusedBuildArgs } from '../builder/plan/build-args.ts';
import type { BuildPlan } from '../builder/plan/build-plan.ts';
import { describePlan } from '../builder/plan/describe-plan.ts';
import type { PlatformTree, TreeFile } from '../exporters/output.ts';
import type { AssembledImage } from '../images/assembled-image.ts';
import { loadImage } from '../images/image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { hexOf } from '../oci/digest.ts';
import { formatPlatform, normalizePlatform } from '../oci/platform.ts';
import { isSecretName } from '../parser/lint/secrets-used-in-arg-or-env.ts';
import type { Session } from '../session.ts';
import type { BaseImages } from './base-image.ts';
import type { BuildOptions } from './build.ts';
import type { BuildInput } from './build-input.ts';
import { buildSboms } from './build-sbom.ts';

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

export interface Attester {
  /** The attestation manifest of one image of an output with these names. */
  ofImage(image: AssembledImage, position: number, output: ImageTarget): Promise<Descriptor>;
  /** Files that lie beside those of one platform. */
  ofFiles(tree: PlatformTree, position: number, output: FileTarget): Promise<readonly TreeFile[]>;
  /** Provenance alone, by platform. */
  provenances(mode: ProvenanceRequest['mode']): Promise<ReadonlyMap<string, object>>;
}

export interface ImageTarget {
  readonly request: AttestationRequest;
  readonly names: readonly string[];
  readonly form: AttestationForm;
  readonly sourceDateEpoch: number | undefined;
}

export interface FileTarget {
  readonly request: AttestationRequest;
  readonly prefix: string;
  readonly sourceDateEpoch: number | undefined;
  /** Every platform has a directory of its own. */
  readonly isSplit: boolean;
}

export function openAttester(session: Session, build: FinishedBuild, options: BuildOptions): Attester {
  const { resources, plans, stages } = build;
  const sboms = new Map<string, Promise<Predicate[]>>();
  const sbomsOf = (position: number, request: SbomRequest, created: string): Promise<Predicate[]> => {
    const key = JSON.stringify([position, request, created]);
    const scanning =
      sboms.get(key) ?? buildSboms({ plan: planAt(plans, position), stages: stages[position] ?? [], resources }, request, created);
    sboms.set(key, scanning);
    return scanning;
  };
  const invocation = { id: randomBytes(16).toString('hex'), startedAt: seconds(build.startedAt), finishedAt: seconds(new Date()) };
  const predicates = async (position: number, asked: Asked): Promise<Predicate[]> => {
    const { request, sourceDateEpoch } = asked;
    const all: Predicate[] = [];
    if (request.provenance !== undefined) {
      const facts = await factsOf(session, build, { position, options, layers: asked.layers });
      all.push(provenance({ ...facts, invocation: sourceDateEpoch === undefined ? invocation : undefined }, request.provenance));
    }
    return [...(request.sbom === undefined ? [] : await sbomsOf(position, request.sbom, asked.created)), ...all];
  };
  return {
    async ofImage(image, position, { request, names, form, sourceDateEpoch }) {
      const layers = await layersOf(session, build, { image, position, options });
      const subjects = imageSubjects(image, names);
      return await putAttestations(session.store, image.descriptor, {
        ...{
          subjects,
          form,
          predicates: await predicates(position, {
            request,
            sourceDateEpoch,
            layers,
            created: seconds(new Date(image.config.created ?? 0)),
          }),
        },
      });
    },
    async ofFiles({ platform, tree }, position, { request, prefix, sourceDateEpoch, isSplit }) {
      const created = seconds(sourceDateEpoch === undefined ? build.startedAt : new Date(sourceDateEpoch * 1000));
      const all = (await predicates(position, { request, sourceDateEpoch, created, layers: new Map() })).filter(({ inFiles }) => inFiles);
      const subjects = all.length === 0 ? [] : await fileSubjects(tree, session.signal);
      const place = build.plans.length > 1 && !isSplit ? `.${formatPlatform(platform).replaceAll('/', '_')}` : '';
      return all.map((predicate) => {
        const bytes = statementBytes(predicate, subjects);
        checkSize(predicate, bytes);
        return { name: `${prefix}${predicate.fileName.replace(/(?=\.[^.]*$)|$/, place)}`, bytes, seconds: sourceDateEpoch ?? 0 };
      });
    },
    async provenances(mode) {
      const all = new Map<string, object>();
      for (const [position, { imagePlatform }] of targetStates(build).entries()) {
        const facts = await factsOf(session, build, { position, options, layers: new Map() });
        const isRepeated = options.buildArgs?.['SOURCE_DATE_EPOCH'] !== undefined;
        const request = { version: options.attestations?.provenance?.version, mode };
        const { body } = provenance({ ...facts, invocation: isRepeated ? undefined : invocation }, request);
        all.set(formatPlatform(normalizePlatform(imagePlatform)), body);
      }
      return all;
    },
  };
}

interface Asked {
  readonly request: AttestationRequest;
  readonly sourceDateEpoch: number | undefined;
  /** When what is attested was made: RFC 3339. */
  readonly created: string;
  readonly layers: BuildFacts['layers'];
}

/** RFC 3339, without a fraction. */
function seconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}

function imageSubjects({ descriptor, config }: AssembledImage, names: readonly string[]): Subject[] {
  const digest = { sha256: hexOf(descriptor.digest) };
  const purls = names.map((name) => imagePurl(name, config));
  return (purls.length === 0 ? ['_'] : [...new Set(purls)]).map((name) => ({ name, digest }));
}

interface Told {
  readonly position: number;
  readonly options: BuildOptions;
}

async function factsOf(
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
async function layersOf(
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
    const { mediaType, digest, size } = layer;
    layers.set(step, [...(layers.get(step) ?? []), { mediaType, digest, size }]);
  }
  return layers;
}

function planAt(plans: readonly BuildPlan[], position: number): BuildPlan {
  const plan = plans[position];
  if (plan === undefined) throw new Error('Each platform has a plan');
  return plan;
}
