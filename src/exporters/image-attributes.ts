/** The attributes that all outputs have that are an image. */
import { parseNewName } from '../oci/reference.ts';
import type { ImageAttributes, OutputFields } from './output.ts';

export const IMAGE_ATTRIBUTES = ['name'] as const;

export function imageAttributes(fields: OutputFields): ImageAttributes {
  return { names: fields.list('name') };
}

/** Those of the output, else those of the build. Throws REFERENCE_INVALID. */
export function namesOf(output: ImageAttributes, tags: readonly string[]): readonly string[] {
  const names = output.names ?? tags;
  for (const name of names) parseNewName(name);
  return names;
}
