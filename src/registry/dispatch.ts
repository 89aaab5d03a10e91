/** undici's lowest interface as one promise and one body. Its streams cost more than the parsing, and would keep memory that sockets use again (large-reads.ts). */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { openResponseBody } from './response-body.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Throws what broke the connection. */
  readonly body: AsyncIterable<Buffer>;
  /** Drops what is left of the body. */
  discard(): void;
}

/** Resolves with the headers of the final answer. `signal` ends the body, too. */
export async function dispatch(dispatcher: Dispatcher, options: Dispatcher.DispatchOptions, signal: AbortSignal): Promise<Answer> {
  const body = openResponseBody();
  let controller: Dispatcher.DispatchController | undefined;
  let isOver = false;
  const abort = (): void => controller?.abort(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  const over = (error?: Error): void => {
    isOver = true;
    signal.removeEventListener('abort', abort);
    body.end(error);
  };
  return await new Promise((resolve, reject) => {
    signal.addEventListener('abort', abort);
    dispatcher.dispatch(options, {
      onRequestStart(started) {
        controller = started;
        if (signal.aborted) abort();
      },
      onResponseStart(_, status, headers) {
        if (status < 200) return;
        const discard = (): void => {
          if (!isOver) controller?.abort(new Error('not read to its end'));
        };
        resolve({ status, headers, body: body.bytes, discard });
      },
      onResponseData(flow, bytes) {
        body.take(bytes, flow);
      },
      onResponseEnd: () => over(),
      onResponseError(_, error) {
        over(error);
        reject(error);
      },
    });
  });
}
