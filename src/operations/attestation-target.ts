/** Which attestations an output gets: what the build asks for, less what that kind of output does not take. */
import type { AttestationRequest } from '../attestations/attestation-request.ts';
import { TsbuildError } from '../errors.ts';
import type { ArchiveOutput, ImageOutput, LocalOutput, Output, TarOutput } from '../exporters/output.ts';
import type { ImageFormat } from '../images/image-format.ts';
import type { BuildOptions } from './build.ts';
import type { FileTarget, ImageTarget } from './build-attestations.ts';

/** undefined: none. Docker's archives and daemons take one manifest, and no index that could hold attestations. */
export function imageTarget(output: ImageOutput | ArchiveOutput, format: ImageFormat, options: BuildOptions): ImageTarget | undefined {
  const request = requestOf(output, options);
  if (request === undefined) return undefined;
  const { names = [], ociArtifact = false } = output;
  return { request, names, form: ociArtifact ? 'artifact' : 'image', sourceDateEpoch: format.sourceDateEpoch };
}

export function isAttested(output: ImageOutput | ArchiveOutput, options: BuildOptions): boolean {
  return requestOf(output, options) !== undefined;
}

/** Whether somebody asked for attestations that an output cannot have. */
export function isLeftOut(outputs: readonly Output[], { attestations }: BuildOptions): boolean {
  return given(attestations) !== undefined && outputs.some(({ type }) => type === 'docker');
}

export function fileTarget(output: LocalOutput | TarOutput, options: BuildOptions, platforms: number): FileTarget | undefined {
  const request = withoutInlineOnly(options.attestations);
  if (request === undefined) return undefined;
  const { attestationPrefix: prefix = '', platformSplit } = output;
  const epoch = options.buildArgs?.['SOURCE_DATE_EPOCH'];
  const sourceDateEpoch = epoch === undefined || epoch === '' ? undefined : Number(epoch);
  return { request, prefix, sourceDateEpoch, isSplit: platformSplit ?? platforms > 1 };
}

/** Throws USAGE for what contradicts itself, before anything runs. */
export function checkAttestations(output: ImageOutput | ArchiveOutput, { mediaTypes }: ImageFormat, options: BuildOptions): void {
  if (mediaTypes !== 'docker') return;
  if (output.ociArtifact === true)
    throw new TsbuildError('USAGE', 'Cannot write an output with oci-artifact=true and oci-mediatypes=false');
  if (!isAttested(output, options)) return;
  throw new TsbuildError('USAGE', "Cannot write attestations with oci-mediatypes=false: Docker's manifests have none");
}

function requestOf(output: ImageOutput | ArchiveOutput, { attestations }: BuildOptions): AttestationRequest | undefined {
  if (output.type === 'docker') return undefined;
  return output.attestationInline === false ? withoutInlineOnly(attestations) : given(attestations);
}

function withoutInlineOnly({ provenance, sbom }: AttestationRequest = {}): AttestationRequest | undefined {
  return given({
    provenance: provenance?.inlineOnly === true ? undefined : provenance,
    sbom: sbom?.inlineOnly === true ? undefined : sbom,
  });
}

function given(request: AttestationRequest | undefined): AttestationRequest | undefined {
  return request?.provenance === undefined && request?.sbom === undefined ? undefined : request;
}
