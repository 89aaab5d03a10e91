/** How a source of an index is written: a name, a digest, or a descriptor as JSON. */
import { TsbuildError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { isDigest } from '../../oci/digest.ts';
import { parseDescriptor } from '../../oci/parse-manifest.ts';
import { formatReference, type Reference } from '../../oci/reference.ts';
import { parseStrictJson } from '../../oci/strict-json.ts';

export interface IndexSource {
  /** As `findDocument` takes it. */
  readonly name: string;
  /** Where a digest is looked for that the store does not know. */
  readonly elsewhere?: string | undefined;
  /** What its place in the index says. */
  readonly descriptor?: Descriptor | undefined;
}

/** `target`: whose repository a digest alone is looked for in. Throws USAGE. */
export function readSource(text: string, target: Reference): IndexSource {
  const trimmed = text.trim();
  if (trimmed.startsWith('{')) {
    const descriptor = readDescriptor(trimmed);
    return { ...digestSource(descriptor.digest, target), descriptor };
  }
  if (trimmed === '') throw new TsbuildError('USAGE', 'Cannot use an empty source for an index');
  return isDigest(trimmed) ? digestSource(trimmed, target) : { name: trimmed };
}

function digestSource(digest: Descriptor['digest'], { registry, repository }: Reference): IndexSource {
  return { name: digest, elsewhere: formatReference({ registry, repository, digest }) };
}

function readDescriptor(text: string): Descriptor {
  try {
    return parseDescriptor(parseStrictJson(Buffer.from(text), 'the descriptor'), 'the descriptor');
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    throw new TsbuildError('USAGE', error.message, {
      hint: 'A source is a name, a digest, or a descriptor with mediaType, digest and size.',
    });
  }
}
