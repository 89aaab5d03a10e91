/** The parts of a build that are neither parsing, planning nor running: what to read, where bases come from, where the result goes. */

import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { Writable } from 'node:stream';
import type { AttestationRequest, ProvenanceMode } from '../attestations/attestation-request.ts';
import type { ResultOptions } from '../builder/execute/assemble-result.ts';
import { openJobSlots } from '../builder/execute/job-slots.ts';
import { outputLimits } from '../builder/execute/output-limit.ts';
import type { Packing } from '../builder/execute/pack-snapshot.ts';
import type { BuildResources } from '../builder/execute/resources.ts';
import { unusedBuildArgs } from '../builder/plan/build-args.ts';
import type { BuildPlan } from '../builder/plan/build-plan.ts';
import type { Entitlement } from '../builder/plan/entitlements.ts';
import type { PlanOptions } from '../builder/plan/plan-build.ts';
import { unknownStages } from '../builder/plan/uncached-stages.ts';
import { TsbuildError } from '../errors.ts';
import type { Output } from '../exporters/output.ts';
import { goBoolean } from '../go-boolean.ts';
import type { ImageAnnotation } from '../images/image-format.ts';
import { formatPlatform, normalizePlatform, type Platform, parsePlatform } from '../oci/platform.ts';
import type { CacheSource, CacheTarget } from '../remote-cache/cache-place.ts';
import { chrootWarning, type Isolation } from '../sandbox/chroot-isolation.ts';
import { hostFacts, outerProcWarning } from '../sandbox/host-facts.ts';
import { checkedDns, type DnsSettings } from '../sandbox/network/dns-settings.ts';
import { parseHost } from '../sandbox/network/hosts-file.ts';
import type { ContainerResources, ResourceLimits } from '../sandbox/resource-limits.ts';
import { runnableArchitectures } from '../sandbox/runnable-architectures.ts';
import { oneIdWarning } from '../sandbox/user-namespace/one-id.ts';
import type { CommonOptions, Session } from '../session.ts';
import { type BaseImages, openBaseImages } from './base-image.ts';
import type { BuildCaches } from './build-caches.ts';
import type { BuildInput, InputOptions } from './build-input.ts';
import { warnOfFindings } from './check.ts';
import type { Deadline } from './deadline.ts';
import { chosenIsolation, type IsolationOptions } from './isolation.ts';
import type { SigningKeySource } from './signatures.ts';

export interface BuildOptions extends CommonOptions, InputOptions, Pick<IsolationOptions, 'isolation'> {
  /** Names for the image, such as `app:1`. */
  readonly tags?: readonly string[] | undefined;
  /** Stage to build; by default the last. */
  readonly target?: string | undefined;
  /** Such as `linux/arm64`; `local` is this machine's. Several make an index. By default this machine's, or that of a base that comes in one only. */
  readonly platforms?: readonly string[] | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Of every output that is an image. */
  readonly annotations?: readonly ImageAnnotation[] | undefined;
  readonly noCache?: boolean | undefined;
  /** Stages whose steps run all the same: names, or numbers in the Dockerfile. Not together with `noCache`. */
  readonly noCacheFilter?: readonly string[] | undefined;
  /** Events `step-miss` say why a step is not in the cache. */
  readonly explain?: boolean | undefined;
  /** false: nothing is remembered of the build. Else `$TSBUILD_BUILD_RECORDS` says how long it is, or `off`. */
  readonly record?: boolean | undefined;
  /** Ask the registry for every base image even where the store has it. */
  readonly pull?: boolean | undefined;
  /** Remote caches whose steps count as made here; earlier ones win. */
  readonly cacheFrom?: readonly CacheSource[] | undefined;
  /** Remote caches that get the steps of this build, when its outputs are there. */
  readonly cacheTo?: readonly CacheTarget[] | undefined;
  /** What is made of the result; by default the local store has it under its tags. */
  readonly outputs?: readonly Output[] | undefined;
  /** Push every tag when the image is complete: outputs of the type `image`, and one more where there is none. */
  readonly push?: boolean | undefined;
  /** Load the image into the machine's Docker daemon, as an output `docker` without a `dest` does. */
  readonly load?: boolean | undefined;
  /** Where an output to `-` goes. */
  readonly stdout?: Writable | undefined;
  /** What is told of how the image was made and what is in it; nothing by default. */
  readonly attestations?: AttestationRequest | undefined;
  /** Sign what is pushed. */
  readonly signBy?: SigningKeySource | undefined;
  /** Hand provenance to the caller, too, whatever outputs get. */
  readonly provenance?: ProvenanceMode | undefined;
  /** Most steps at once, of all stages and platforms; by default the number of cores. With 1, stage follows stage in the Dockerfile's order. */
  readonly jobs?: number | undefined;
  readonly network?: 'default' | 'none' | 'host' | undefined;
  /** What RUN may ask for beyond the sandbox; `network: 'host'` allows the network. */
  readonly allow?: readonly Entitlement[] | undefined;
  /** Most time for the whole build; then its steps are asked to end, and killed ten seconds later. */
  readonly timeoutMs?: number | undefined;
  /** The same for the command of each RUN. */
  readonly stepTimeoutMs?: number | undefined;
  /** What each RUN may use. */
  readonly limits?: ResourceLimits | undefined;
  /** Name servers and how they are asked, where not as on the machine. */
  readonly dns?: DnsSettings | undefined;
  /** `name:address` pairs for /etc/hosts of every step. */
  readonly addHosts?: readonly string[] | undefined;
}

/** What executing a plan needs, out of a session, what is read, and the caller's choices. */
export function buildResources(
  session: Session,
  { contexts, secrets, ssh, materials }: BuildInput,
  options: Omit<BuildOptions, 'limits'> & {
    readonly bases: BaseImages;
    readonly limits: ContainerResources;
    readonly deadline: Deadline;
    readonly packings: readonly Packing[];
    readonly caches: Pick<BuildCaches, 'imports' | 'used' | 'usedMounts'>;
  },
): BuildResources {
  const isolation = chosenIsolation(options);
  return {
    ...{
      store: session.store,
      emit: session.emit,
      signal: session.signal,
      networks: session.networks,
      cgroups: session.cgroups,
      userNamespace: session.userNamespace,
      isolation,
      workingTrees: isolation === 'chroot' ? async () => 'copy' as const : session.workingTrees,
      warnOnce: warnOnce(session),
      ...{ imports: options.caches.imports, used: options.caches.used, usedMounts: options.caches.usedMounts, unusable: new Set<string>() },
      deadline: options.deadline,
      packing: session.packing,
      contexts,
      secrets,
      ssh,
      materials,
    },
    get snapshots() {
      return session.snapshots;
    },
    get cache() {
      return session.cache;
    },
    loadBase: async ({ reference, platform }, use) => await options.bases.load(reference, platform, use),
    options: {
      cache: options.noCache === true ? 'ignore' : 'use',
      uncachedStages: uncachedNames(options),
      explain: options.explain === true,
      place: placeOf(options),
      network: options.network ?? 'default',
      addHosts: (options.addHosts ?? []).map(parseHost),
      dns: checkedDns(options.dns),
      limits: options.limits,
      outputLimits: outputLimits(process.env),
      stepTimeoutMs: options.stepTimeoutMs,
      jobs: openJobSlots(mostAtOnce(isolation, options.jobs)),
      packings: options.packings,
    },
  };
}

/** Throws USAGE. */
function uncachedNames({ noCache, noCacheFilter = [] }: BuildOptions): readonly string[] {
  if (noCache !== true || noCacheFilter.length === 0) return noCacheFilter;
  throw new TsbuildError('USAGE', 'Cannot use --no-cache together with --no-cache-filter: without the cache every stage runs');
}

/** Goes into digests only. */
function placeOf({ context, dockerfile = '' }: BuildOptions): string {
  return JSON.stringify([contextPlace(context), dockerfile]);
}

/** A directory by its path, anything else by its address. */
export function contextPlace(context: string): string {
  return /^[a-z]+:\/\/|^-$|^git@/.test(context) ? context : path.resolve(context);
}

function warnOnce({ emit }: Session): BuildResources['warnOnce'] {
  const said = new Set<string>();
  return (message) => {
    if (!said.has(message)) emit({ kind: 'warning', message });
    said.add(message);
  };
}

/** With the processes of us all in reach, one step could get into another that runs at the same time: proc(5), ptrace(2). */
function mostAtOnce(isolation: Isolation, jobs: number | undefined): number {
  return isolation === 'chroot' || hostFacts().proc === 'outer' ? 1 : (jobs ?? availableParallelism());
}

/** Where base images come from. */
export function baseImages(session: Session, options: BuildOptions): BaseImages {
  return openBaseImages(session, options.pull === true ? 'registry' : 'store');
}

/** What planning needs to know of the caller, for each platform: the target, arguments. Throws USAGE. */
export function planOptions(session: Session, { named: contexts }: BuildInput, options: BuildOptions): Omit<PlanOptions, 'images'>[] {
  const buildArgs = new Map(Object.entries(options.buildArgs ?? {}));
  const allowed = new Set<Entitlement>([...(options.allow ?? []), ...(options.network === 'host' ? ['network.host' as const] : [])]);
  const common = { target: options.target, buildArgs, buildPlatform: session.platform, contexts, allowed };
  const platforms = chosenPlatforms(options.platforms ?? [], session.platform);
  if (platforms.length === 0) return [{ ...common, platform: session.platform, runnable: runnableArchitectures(session.platform) }];
  const labels = platforms.length > 1 ? 'with-platform' : 'plain';
  return platforms.map((platform) => ({ ...common, platform, labels }));
}

/** Each once, in the order given. */
export function chosenPlatforms(names: readonly string[], local: Platform): Platform[] {
  const platforms = names.map((name) => (name === 'local' ? normalizePlatform(local) : parsePlatform(name)));
  return [...new Map(platforms.map((platform) => [formatPlatform(platform), platform])).values()];
}

/** What the image is to be, beyond what the plan says. */
export function resultOptions({ labels = {}, buildArgs = {} }: BuildOptions): Omit<ResultOptions, 'format' | 'attest' | 'inline'> {
  return { labels, index: goBoolean(buildArgs['BUILDKIT_MULTI_PLATFORM'] ?? '') === true ? 'always' : 'for-several' };
}

/** Says what will be done, and what the Dockerfile's author may not have meant. Throws CHECK_FAILED where that is an error. */
export async function announce(session: Session, plans: readonly BuildPlan[], options: BuildOptions): Promise<void> {
  const { emit } = session;
  const stages = plans.flatMap((plan) => plan.stages);
  emit({ kind: 'plan', stages: stages.map(({ name, steps }) => ({ name, steps: steps.map(({ label }) => label) })) });
  const [plan] = plans;
  if (plan === undefined) throw new Error('A build has a platform');
  const { file, warnings } = plan.dockerfile;
  for (const { message, range, rule } of warnings) {
    if (rule === undefined) emit({ kind: 'warning', message: `${file}:${range.startLine}: ${message}` });
  }
  const oneId = oneIdWarning();
  if (oneId !== undefined) emit({ kind: 'warning', message: oneId });
  const isolation = chosenIsolation(options);
  if (isolation === 'chroot') emit({ kind: 'warning', message: chrootWarning() });
  const outerProc = isolation === 'chroot' ? undefined : outerProcWarning();
  if (outerProc !== undefined) emit({ kind: 'warning', message: outerProc });
  for (const missing of missingDevices(stages)) {
    emit({ kind: 'warning', message: `This machine has no device ${JSON.stringify(missing)}: steps that ask for it run without` });
  }
  for (const unknown of unknownStages(plan.dockerfile, options.noCacheFilter ?? [])) {
    emit({ kind: 'warning', message: `No stage has the name of --no-cache-filter ${unknown}` });
  }
  const unused = unusedBuildArgs(plan, plan.args.buildArgs);
  if (unused.length > 0) emit({ kind: 'warning', message: `No ARG takes the build argument ${unused.join(', ')}` });
  await warnOfFindings(session, plan, options);
}

function missingDevices(stages: BuildPlan['stages']): Set<string> {
  return new Set(stages.flatMap(({ steps }) => steps.flatMap(({ devices }) => devices?.missing ?? [])));
}
