/** What a build leaves: the outputs that were asked for, and what is known of the image afterwards. */
import type { SigningKey } from '../attestations/signing/signing-key.ts';
import { assembleResult } from '../builder/execute/assemble-result.ts';
import { snapshotOf } from '../builder/execute/files.ts';
import { type Packing, packingOf } from '../builder/execute/pack-snapshot.ts';
import { TsbuildError } from '../errors.ts';
import { checkOutputs, exportOutputs, isImageOutput, writesToStdout } from '../exporters/export-outputs.ts';
import { imageFormat } from '../exporters/image-attributes.ts';
import { isPushed } from '../exporters/image-exporter.ts';
import type { BuiltResult, ImageAttributes, Output, PlatformTree } from '../exporters/output.ts';
import { streamOf } from '../exporters/stream-of.ts';
import type { AssembledImage } from '../images/assembled-image.ts';
import type { ImageFormat } from '../images/image-format.ts';
import { zstdEngine } from '../layers/zstd-engine.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { ImageConfig } from '../oci/image-config.ts';
import { formatPlatform, type Platform, platformOf, samePlatform } from '../oci/platform.ts';
import { formatReference, parseNewName } from '../oci/reference.ts';
import type { Session } from '../session.ts';
import { checkAttestations, fileTarget, imageTarget, isAttested, isLeftOut } from './attestation-target.ts';
import { type BuildOptions, chosenPlatforms, resultOptions } from './build.ts';
import { type Attester, openAttester } from './build-attestations.ts';
import { checkTimeout } from './deadline.ts';
import { inlineCache } from './export-caches.ts';
import { type FinishedBuild, targetStates } from './finished-build.ts';
import { chosenIsolation } from './isolation.ts';
import type { ResultNeeds } from './run-plans.ts';

/** Of the first output that is an image. */
export interface BuildResult {
  /** Of the manifest; of the index, where there are several platforms. */
  readonly digest: Digest;
  readonly descriptor: Descriptor;
  /** Of the config; of the first platform's, where there are several. */
  readonly imageId: Digest;
  /** Full references that all outputs gave, in their order. */
  readonly names: readonly string[];
  /** Bytes of all blobs. */
  readonly size: number;
  readonly config: ImageConfig;
  /** Predicates by platform, where the caller asked for provenance. */
  readonly provenance: ReadonlyMap<string, object> | undefined;
}

/** Where no output is an image, nothing is assembled, and there is nothing to tell. */
export type OutputsResult = Pick<BuildResult, 'names'> & {
  readonly [K in Exclude<keyof BuildResult, 'names'>]: BuildResult[K] | undefined;
};

/** Asked before anything runs, so that a bad name or a bad combination costs no build. Throws USAGE, REFERENCE_INVALID. */
export function buildOutputs(options: BuildOptions): readonly Output[] {
  chosenIsolation(options);
  if (options.stepTimeoutMs !== undefined) checkTimeout('step-timeout', options.stepTimeoutMs);
  const { tags = [] } = options;
  for (const tag of tags) parseNewName(tag);
  const outputs = withShorthands(options);
  const platforms = chosenPlatforms(options.platforms ?? [], platformOf(process.arch));
  const isIndex = platforms.length > 1 || resultOptions(options).index === 'always';
  checkOutputs(outputs, { tags, isIndex });
  if (options.signBy !== undefined && !outputs.some(isPushed)) {
    throw new TsbuildError('USAGE', 'Cannot sign the image: nothing is pushed', {
      hint: 'Add --push; signatures lie in the repository of the image.',
    });
  }
  if (outputs.some(writesToStdout)) streamOf({ stdout: options.stdout });
  for (const output of outputs.filter(isImageOutput)) {
    const format = formatOf(output, options);
    checkAttestations(output, format, options);
    checkAnnotations(format, { isIndex: isIndex || isAttested(output, options), platforms });
    if (format.compression.type === 'zstd') zstdEngine('compress');
  }
  return outputs.map((output) => (isImageOutput(output) ? { ...output, names: namesIn(output) ?? tags } : output));
}

/** How layers will be packed, each way once. */
export function packingsOf({ formats }: ResultNeeds): readonly Packing[] {
  const all = formats.map(packingOf);
  return [...new Map(all.map((packing) => [JSON.stringify(packing), packing])).values()];
}

/** As docker does it: `push` is about outputs of the type `image` where there are some, else it is one more output; `load` likewise. */
function withShorthands({ outputs = [], push = false, load = false }: BuildOptions): Output[] {
  const isStored = ({ type }: Output): boolean => type === 'image' || type === 'registry';
  const pushed = outputs.map((output): Output => (push && output.type === 'image' ? { ...output, push: true } : output));
  if (push && !pushed.some(isStored)) pushed.push({ type: 'image', push: true });
  if (load && !pushed.some((output) => output.type === 'docker' && output.dest === undefined)) pushed.push({ type: 'docker' });
  return pushed.length === 0 ? [{ type: 'image' }] : pushed;
}

function namesIn(output: Output): readonly string[] | undefined {
  return 'names' in output ? output.names : undefined;
}

/** What the outputs will read of the result. */
export function resultNeeds(outputs: readonly Output[], options: BuildOptions): ResultNeeds {
  const formats = outputs.filter(isImageOutput).map((output) => formatOf(output, options));
  const readsFiles = outputs.some(({ type }) => type === 'local' || type === 'tar');
  return { formats, files: options.attestations?.sbom !== undefined ? 'stages' : readsFiles ? 'result' : 'none' };
}

/** Makes the outputs, one after the other. What several of them need is made once. */
export async function exportResult(
  session: Session,
  build: FinishedBuild,
  {
    outputs,
    options,
    signer,
  }: { readonly outputs: readonly Output[]; readonly options: BuildOptions; readonly signer: SigningKey | undefined },
): Promise<OutputsResult> {
  const attester = openAttester(session, build, options);
  const result = builtResult(build, attester, options);
  if (isLeftOut(outputs, options)) {
    session.emit({ kind: 'warning', message: 'Left attestations out of the output for Docker: it takes one manifest, and no index' });
  }
  const { store, retry, emit, signal } = session;
  const exporting = {
    ...{ store, retry, emit, signal, signer, stdout: options.stdout },
    // Opened, and its configuration read, by outputs that go to a registry.
    get registry() {
      return session.registry;
    },
  };
  const image = await exportOutputs(exporting, result, outputs);
  const { descriptor, imageId, size, config } = image ?? ({} as Partial<AssembledImage>);
  const names = outputs.flatMap((output) => (namesIn(output) ?? []).map((name) => fullName(output, name, descriptor)));
  const provenance = options.provenance === undefined ? undefined : await attester.provenances(options.provenance);
  return { digest: descriptor?.digest, descriptor, imageId, names: [...new Set(names)], size, config, provenance };
}

function fullName(output: Output, name: string, descriptor: Descriptor | undefined): string {
  const reference = parseNewName(name);
  const isTagged = !('pushByDigest' in output) || output.pushByDigest !== true || descriptor === undefined;
  if (isTagged) return formatReference(reference);
  return formatReference({ registry: reference.registry, repository: reference.repository, digest: descriptor.digest });
}

function builtResult(build: FinishedBuild, attester: Attester, options: BuildOptions): BuiltResult {
  const { resources } = build;
  const states = targetStates(build);
  const images = new Map<string, Promise<AssembledImage>>();
  const inline = inlineCache(build, options);
  return {
    image(output) {
      const format = formatOf(output, options);
      const target = imageTarget(output, format, options);
      const key = JSON.stringify({ format, target });
      const attest = target && ((image: AssembledImage, position: number) => attester.ofImage(image, position, target));
      const image = images.get(key) ?? assembleResult(resources, states, { ...resultOptions(options), format, attest, inline });
      images.set(key, image);
      return image;
    },
    async trees(output) {
      const names: (string | undefined)[] = [];
      for (const { files } of states) names.push(await snapshotOf(resources, files));
      const trees = states.map(
        ({ imagePlatform }, i): PlatformTree => ({ platform: imagePlatform, tree: resources.snapshots.tree(names[i]) }),
      );
      const target = fileTarget(output, options, trees.length);
      if (target === undefined) return trees;
      const all: PlatformTree[] = [];
      for (const [i, tree] of trees.entries()) all.push({ ...tree, more: await attester.ofFiles(tree, i, target) });
      return all;
    },
  };
}

function formatOf(output: ImageAttributes, { annotations = [], buildArgs = {} }: BuildOptions): ImageFormat {
  return imageFormat(output, { annotations, sourceDateEpoch: epochOf(buildArgs['SOURCE_DATE_EPOCH']) });
}

/** Source: reproducible-builds.org/specs/source-date-epoch. An empty value is none. */
function epochOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text.slice(0, 100))} as SOURCE_DATE_EPOCH: not whole seconds since 1970`);
}

/** Throws USAGE for annotations of what the result does not have, as far as that can be told before anything is planned. */
function checkAnnotations({ annotations }: ImageFormat, build: { isIndex: boolean; platforms: readonly Platform[] }): void {
  const { isIndex, platforms } = build;
  for (const { on, key, platform } of annotations) {
    const what = `Cannot write the annotation ${JSON.stringify(key.slice(0, 100))} of the ${on}`;
    if (!isIndex && on.startsWith('index')) throw new TsbuildError('USAGE', `${what}: an image of one platform has no index`);
    if (platform === undefined || platforms.length === 0 || platforms.some((one) => samePlatform(one, platform))) continue;
    throw new TsbuildError('USAGE', `${what}: ${formatPlatform(platform)} is not built`);
  }
}
