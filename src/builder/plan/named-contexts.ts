/** Named contexts as planning knows them: what `--build-context name=...` puts in the place of a stage or an image of that name. */
import { TsbuildError } from '../../errors.ts';
import type { Platform } from '../../oci/platform.ts';
import { formatReference, parseReference } from '../../oci/reference.ts';
import type { StepSource } from './build-plan.ts';

/** `files`: opened by its name when a step reads it. `image`: a reference, or an `oci-layout://` address, that stands for it. */
export type NamedContext = { readonly kind: 'files' } | { readonly kind: 'image'; readonly reference: string };

/** By the full form of their names, as `contextKey` gives it. */
export type NamedContexts = ReadonlyMap<string, NamedContext>;

/**
 * One key for all ways to write a name: `app`, `app:latest` and `docker.io/library/app:latest` are the same.
 * Throws REFERENCE_INVALID for what could not be the name of an image.
 */
export function contextKey(name: string): string {
  return formatReference(parseReference(name));
}

/** What stands in the place of `name`; undefined where no context has it. */
export function namedSource(contexts: NamedContexts, name: string, platform: Platform): StepSource | undefined {
  if (contexts.size === 0) return undefined;
  const key = keyOrNone(name);
  const found = key === undefined ? undefined : contexts.get(key);
  if (found === undefined || key === undefined) return undefined;
  return found.kind === 'files' ? { kind: 'context', name: key } : { kind: 'image', reference: found.reference, platform };
}

/** A stage may have a name that no image could have. */
function keyOrNone(name: string): string | undefined {
  try {
    return contextKey(name);
  } catch (error) {
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_REFERENCE_INVALID') return undefined;
    throw error;
  }
}
