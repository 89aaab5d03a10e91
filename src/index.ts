/** The public API: `build()` is the whole pipeline on one screen; what else the command line does stands beside it. */
import { announce, type BuildOptions, baseImages, buildResources, planOptions } from './operations/build.ts';
import { checkCaches, openBuildCaches } from './operations/build-caches.ts';
import { openBuildInput } from './operations/build-input.ts';
import { type BuildResult, buildOutputs, exportResult, type OutputsResult, packingsOf, resultNeeds } from './operations/build-outputs.ts';
import { openRecording } from './operations/build-recording.ts';
import { openDeadline } from './operations/deadline.ts';
import { exportCaches } from './operations/export-caches.ts';
import { namingFullDisk } from './operations/full-disk.ts';
import { planPlatforms } from './operations/plan.ts';
import { runPlans } from './operations/run-plans.ts';
import { readSigningKey } from './operations/signatures.ts';
import { parseDockerfile } from './parser/parse-dockerfile.ts';
import { checkedLimits, warnOfLowered } from './sandbox/resource-limits.ts';
import { openSession } from './session.ts';

/**
 * Builds the image that a Dockerfile describes, into the local store or what `outputs` ask for.
 * Rejects with a TsbuildError that carries the place in the Dockerfile; nothing of a failed build is named.
 */
export async function build(options: BuildOptions & { readonly outputs?: undefined }): Promise<BuildResult>;
export async function build(options: BuildOptions): Promise<OutputsResult>;
export async function build(options: BuildOptions): Promise<OutputsResult> {
  const startedAt = new Date();
  const outputs = buildOutputs(options);
  checkCaches(options);
  const signer = options.signBy && readSigningKey(options.signBy);
  const limits = checkedLimits(options.limits);
  using deadline = openDeadline(options);
  const recording = openRecording(options, startedAt);
  await using session = await openSession({ ...options, onEvent: recording.emit, signal: deadline.signal });
  const inPlace = async (): Promise<OutputsResult> => {
    await using opened = await openBuildInput(session, options);
    const input = recording.watched(opened);
    const dockerfile = parseDockerfile(input.dockerfile.text, input.dockerfile);
    const bases = baseImages(session, options);
    const plans = await planPlatforms(dockerfile, bases, planOptions(session, input, options));
    recording.planned(plans);
    await announce(session, plans, options);
    await using caches = await openBuildCaches(session, options);
    const needs = resultNeeds(outputs, options);
    const packings = packingsOf(needs);
    const resources = buildResources(session, input, { ...options, bases, limits, deadline, caches, packings, explain: recording.explain });
    warnOfLowered(limits, session.emit);
    const stages = await runPlans(plans, resources, needs);
    const finished = { resources, plans, stages, input, bases, startedAt };
    const result = await exportResult(session, finished, { outputs, options, signer });
    await exportCaches(session, finished, options);
    await recording.assembled(session, finished, result);
    return result;
  };
  return await recording.during(session, () => namingFullDisk(session.store.root, inPlace));
}

export {
  type AttestationRequest,
  type ProvenanceMode,
  type ProvenanceRequest,
  parseAttestation,
  type SbomRequest,
} from './attestations/attestation-request.ts';
export type { AttestedImage, Statement } from './attestations/read-attestations.ts';
export type { SignedPayload } from './attestations/signing/simple-signing.ts';
export type { Entitlement } from './builder/plan/entitlements.ts';
export type { Outline, OutlineArg, OutlineMount } from './builder/plan/outline.ts';
export type { Target } from './builder/plan/targets.ts';
export type { PruneFilter } from './collection/choose.ts';
export type { UsageEntry, UsageKind } from './collection/usage-entry.ts';
export { TsbuildError } from './errors.ts';
export type { BuildEvent, CacheEvent, Emit, FileDifference, MissReason, StepMissEvent } from './events.ts';
export { isImageOutput, parseOutput, writesToStdout } from './exporters/export-outputs.ts';
export type { Output } from './exporters/output.ts';
export type { ImageAnnotation } from './images/image-format.ts';
export type { Descriptor } from './oci/descriptor.ts';
export type { Digest } from './oci/digest.ts';
export type { ImageConfig } from './oci/image-config.ts';
export { listAttestations } from './operations/attestations.ts';
export type { BuildOptions } from './operations/build.ts';
export type { BuildResult, OutputsResult } from './operations/build-outputs.ts';
export { type BuildPageOptions, buildPage } from './operations/build-page.ts';
export {
  type BuildsOptions,
  buildLog,
  inspectBuild,
  listBuilds,
  type OneBuildOptions,
  pinBuilds,
  removeBuilds,
  type StepLog,
} from './operations/builds.ts';
export {
  type CheckedSource,
  type CheckOptions,
  type CheckResult,
  checkDockerfile,
  listTargets,
  outlineDockerfile,
} from './operations/check.ts';
export {
  type DiskUsage,
  diskUsage,
  type PruneOptions,
  type PruneResult,
  prune,
  type UsageOptions,
} from './operations/disk-usage.ts';
export { type Examination, examineMachine, type Finding } from './operations/doctor/examine.ts';
export { type ImageDetails, type ImageSummary, inspectImage, listImages, removeImage, tagImage } from './operations/images.ts';
export {
  type ContextFile,
  type ContextListing,
  type IgnoreLine,
  type ListContextOptions,
  listContext,
} from './operations/list-context.ts';
export { type LoginOptions, type LoginResult, logIn, logOut } from './operations/login.ts';
export { type CreatedIndex, type CreateIndexOptions, createIndex } from './operations/manifest/create-index.ts';
export {
  type InspectManifestOptions,
  inspectManifest,
  type ManifestDetails,
  type ManifestEntry,
} from './operations/manifest/inspect-manifest.ts';
export { pushIndex } from './operations/manifest/push-index.ts';
export { type BundleOptions, bundleImage } from './operations/run/bundle-image.ts';
export type { LogEntry } from './operations/run/container-log.ts';
export type { ContainerState, PublishedPort } from './operations/run/container-record.ts';
export {
  type ContainerOptions,
  type ContainerSummary,
  containerLogs,
  inspectContainer,
  killContainer,
  listContainers,
  removeContainer,
  stopContainer,
  waitForContainer,
} from './operations/run/containers.ts';
export { runImage } from './operations/run/run-image.ts';
export type { ContainerDevice, ContainerMount, RunningContainer, RunOptions, RunResult } from './operations/run/run-options.ts';
export type { SecretSource } from './operations/secrets.ts';
export { type SigningKeySource, signImage, verifyImage } from './operations/signatures.ts';
export type { SshSource } from './operations/ssh-agents.ts';
export { importImage, pullImage, pushImage, saveImage } from './operations/transfer.ts';
export { openUpkeep, type Upkeep, type UpkeepOptions } from './operations/upkeep.ts';
export type { LintWarning } from './parser/lint/lint-dockerfile.ts';
export type { BuildRecord, BuildState, BuildSummary, RecordedStage, RecordedStep } from './records/build-record.ts';
export type { CacheSource, CacheTarget } from './remote-cache/cache-place.ts';
export { parseCacheSource, parseCacheTarget } from './remote-cache/parse-place.ts';
export type { Isolation } from './sandbox/chroot-isolation.ts';
export type { DnsSettings } from './sandbox/network/dns-settings.ts';
export type { ResourceLimits } from './sandbox/resource-limits.ts';
export type { CommonOptions, Retries, UserNamespaceChoice } from './session.ts';
export type { SnapshotterChoice } from './snapshots/working-trees.ts';
