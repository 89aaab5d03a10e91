/** The attributes that all outputs have that are an image. */
import { TsbuildError } from '../errors.ts';
import type { ImageAnnotation, ImageFormat } from '../images/image-format.ts';
import { COMPRESSIONS, compressionOf } from '../layers/compress.ts';
import { parsePlatform } from '../oci/platform.ts';
import { parseNewName } from '../oci/reference.ts';
import type { ImageAttributes, OutputFields } from './output.ts';

export const IMAGE_ATTRIBUTES = [
  'name',
  'compression',
  'compression-level',
  'force-compression',
  'oci-mediatypes',
  'rewrite-timestamp',
  'source-date-epoch',
  'attestation-inline',
  'oci-artifact',
  'annotation.',
  'annotation-manifest.',
  'annotation-index.',
  'annotation-manifest-descriptor.',
  'annotation-index-descriptor.',
] as const;

const ANNOTATION = /^annotation(?:-(manifest|index|manifest-descriptor|index-descriptor))?(?:\[([^\]]*)\])?\.(.+)$/s;
/** The last second that RFC 3339 can write. */
const EPOCH_MAX = 253_402_300_799;

export function imageAttributes(fields: OutputFields): ImageAttributes {
  return {
    names: fields.list('name'),
    compression: fields.choice('compression', COMPRESSIONS),
    compressionLevel: fields.whole('compression-level'),
    forceCompression: fields.boolean('force-compression'),
    ociMediaTypes: fields.boolean('oci-mediatypes'),
    rewriteTimestamp: fields.boolean('rewrite-timestamp'),
    sourceDateEpoch: fields.whole('source-date-epoch'),
    attestationInline: fields.boolean('attestation-inline'),
    ociArtifact: fields.boolean('oci-artifact'),
    annotations: fields.matching(ANNOTATION).map(({ match: [, on = 'manifest', platform, key = ''], value }) => ({
      on: on as ImageAnnotation['on'],
      ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
      key,
      value,
    })),
  };
}

/** Those of the output, else those of the build. Throws REFERENCE_INVALID. */
export function namesOf(output: ImageAttributes, tags: readonly string[]): readonly string[] {
  const names = output.names ?? tags;
  for (const name of names) parseNewName(name);
  return names;
}

/** What the build says of all its images. */
export interface FormatDefaults {
  readonly sourceDateEpoch: number | undefined;
  readonly annotations: readonly ImageAnnotation[];
}

/** Attributes that are not given as they are meant. Throws USAGE for what contradicts itself. */
export function imageFormat(output: ImageAttributes, defaults: FormatDefaults): ImageFormat {
  const compression = compressionOf(output.compression ?? 'gzip', output.compressionLevel);
  const { forceCompression = false, ociMediaTypes = true, rewriteTimestamp = false } = output;
  const sourceDateEpoch = output.sourceDateEpoch ?? defaults.sourceDateEpoch;
  const annotations = [...defaults.annotations, ...(output.annotations ?? [])];
  if (!ociMediaTypes && (compression.type === 'zstd' || compression.type === 'estargz')) {
    throw noDockerType(`layers compressed with ${compression.type}`);
  }
  if (!ociMediaTypes && annotations.length > 0) throw noDockerType('annotations');
  if (rewriteTimestamp && sourceDateEpoch === undefined) {
    throw new TsbuildError('USAGE', 'Cannot rewrite times: there is no time to rewrite them to', {
      hint: 'Set SOURCE_DATE_EPOCH, or source-date-epoch of the output.',
    });
  }
  if (sourceDateEpoch !== undefined && !(Number.isInteger(sourceDateEpoch) && sourceDateEpoch >= 0 && sourceDateEpoch <= EPOCH_MAX)) {
    throw new TsbuildError('USAGE', `Cannot use ${sourceDateEpoch} as the source date epoch: not whole seconds since 1970`);
  }
  return { compression, forceCompression, mediaTypes: ociMediaTypes ? 'oci' : 'docker', rewriteTimestamp, sourceDateEpoch, annotations };
}

function noDockerType(what: string): TsbuildError {
  return new TsbuildError('USAGE', `Cannot write ${what} with oci-mediatypes=false: Docker's manifests have none`);
}
