/** Changes written to an upper directory and packed at the same time. */
import type { Change, Changeset } from '../tree/change.ts';
import { UNCERTAIN, type WritingOptions, writtenChanges } from './written-changes.ts';

/**
 * Applies the changes as `applyChanges` does, whatever becomes of `pack`, which gets what `overlayDiff` would yield of the upper
 * directory afterwards and must read it to its end. The result is that of `pack`; undefined where it failed, or where what it got is not
 * certain to be that. `pack` sets the pace.
 */
export async function applyAndPack<T>(
  changes: Changeset,
  upperFd: number,
  options: WritingOptions,
  pack: (found: AsyncIterable<Change>) => Promise<T>,
): Promise<T | undefined> {
  const written = writtenChanges(changes, upperFd, options);
  let failure: { readonly error: unknown } | undefined;
  // It has no `return`: where packing stops, writing does not.
  const found: AsyncIterator<Change, undefined> = {
    async next() {
      const step = await written.next().catch((error: unknown) => {
        failure = { error };
        throw error;
      });
      if (step.done === true) return { done: true, value: undefined };
      if (step.value === UNCERTAIN) throw new Error('What was written may be found as something else');
      return { done: false, value: step.value };
    },
  };
  const packed = await pack({ [Symbol.asyncIterator]: () => found }).catch(() => undefined);
  if (failure !== undefined) throw failure.error;
  const isWhole = (await written.next()).done === true;
  for await (const _ of written);
  return isWhole ? packed : undefined;
}
