/** Some at a time. */
export interface Limits {
  readonly limit: number;
  readonly signal: AbortSignal;
}

/**
 * Runs `work` for each item, at most `limit` at once. The first failure aborts the signal that the others got; it is
 * thrown when all have ended, so nothing runs on after this rejects.
 */
export async function forEachLimited<T>(
  items: Iterable<T>,
  { limit, signal }: Limits,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failure = new AbortController();
  const either = AbortSignal.any([signal, failure.signal]);
  const queue = items[Symbol.iterator]();
  let failed: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true && failed === undefined; next = queue.next()) {
      try {
        either.throwIfAborted();
        await work(next.value, either);
      } catch (error) {
        failed ??= { error };
        failure.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (failed !== undefined) throw failed.error;
}
