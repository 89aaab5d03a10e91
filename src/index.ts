/** The public API: `build()` is the whole pipeline on one screen; what else the command line does stands beside it. */
import { executePlans } from './builder/execute/execute-plan.ts';
import { announce, type BuildOptions, baseImages, buildResources, planOptions } from './operations/build.ts';
import { openBuildInput } from './operations/build-input.ts';
import { type BuildResult, buildOutputs, exportResult, type OutputsResult } from './operations/build-outputs.ts';
import { openDeadline } from './operations/deadline.ts';
import { planPlatforms } from './operations/plan.ts';
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
  const signer = options.signBy && readSigningKey(options.signBy);
  const limits = checkedLimits(options.limits);
  using deadline = openDeadline(options);
  await using session = await openSession({ ...options, signal: deadline.signal });
  await using input = await openBuildInput(session, options);
  const dockerfile = parseDockerfile(input.dockerfile.text, input.dockerfile);
  const bases = baseImages(session, options);
  const plans = await planPlatforms(dockerfile, bases, planOptions(session, input, options));
  await announce(session, plans, options);
  const resources = buildResources(session, input, { ...options, bases, limits, deadline });
  warnOfLowered(limits, session.emit);
  const stages = await executePlans(plans, resources);
  return await exportResult(session, { resources, plans, stages, input, bases, startedAt }, { outputs, options, signer });
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
export { TsbuildError } from './errors.ts';
export type { BuildEvent, Emit, FileDifference, MissReason, StepMissEvent } from './events.ts';
export { isImageOutput, parseOutput, writesToStdout } from './exporters/export-outputs.ts';
export type { Output } from './exporters/output.ts';
export type { ImageAnnotation } from './images/image-format.ts';
export type { Descriptor } from './oci/descriptor.ts';
export type { Digest } from './oci/digest.ts';
export type { ImageConfig } from './oci/image-config.ts';
export { listAttestations } from './operations/attestations.ts';
export type { BuildOptions } from './operations/build.ts';
export type { BuildResult, OutputsResult } from './operations/build-outputs.ts';
export {
  type CheckedSource,
  type CheckOptions,
  type CheckResult,
  checkDockerfile,
  listTargets,
  outlineDockerfile,
} from './operations/check.ts';
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
export type { LintWarning } from './parser/lint/lint-dockerfile.ts';
export type { Isolation } from './sandbox/chroot-isolation.ts';
export type { DnsSettings } from './sandbox/network/dns-settings.ts';
export type { ResourceLimits } from './sandbox/resource-limits.ts';
export type { CommonOptions, Retries, UserNamespaceChoice } from './session.ts';
export type { SnapshotterChoice } from './snapshots/working-trees.ts';
