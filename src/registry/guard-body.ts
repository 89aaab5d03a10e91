/** Notices a server that takes a body no further: undici waits for an answer alone, and that may take minutes when a blob is committed. */
import type { HttpRequest } from './transport.ts';

export interface BodyLimits {
  readonly signal: AbortSignal;
  /** Longest time for one chunk. */
  readonly idleMs: number;
}

/** The body, and a signal that also aborts, with the code UPLOAD_STALLED, when a chunk is not taken in time. */
export function guardBody(body: HttpRequest['body'], { signal, idleMs }: BodyLimits): { body: HttpRequest['body']; signal: AbortSignal } {
  if (body === undefined || Buffer.isBuffer(body)) return { body, signal };
  const stalled = new AbortController();
  return { body: guarded(body, stalled, idleMs), signal: AbortSignal.any([signal, stalled.signal]) };
}

async function* guarded(body: AsyncIterable<Buffer>, stalled: AbortController, idleMs: number): AsyncGenerator<Buffer, void, undefined> {
  let timer: NodeJS.Timeout | undefined;
  const stall = (): void => stalled.abort(Object.assign(new Error('stalled'), { code: 'UPLOAD_STALLED' }));
  try {
    for await (const chunk of body) {
      clearTimeout(timer);
      timer = setTimeout(stall, idleMs);
      yield chunk;
      // The time that the source takes is its own.
      clearTimeout(timer);
    }
  } finally {
    clearTimeout(timer);
  }
}
