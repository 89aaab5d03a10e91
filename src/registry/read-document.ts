/** Reads a small answer whole: bounded in bytes and in time, whatever its Content-Length says. */
import { failedRequest, RegistryError } from './registry-error.ts';
import type { HttpRequest, HttpResponse } from './transport.ts';

export interface DocumentLimits {
  readonly maxBytes: number;
  /** From the first byte of the body on. */
  readonly deadlineMs: number;
}

/** Throws REGISTRY_ERROR where the body is longer than `maxBytes` or trickles in for longer than `deadlineMs`. */
export async function readDocument(response: HttpResponse, request: HttpRequest, limits: DocumentLimits): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const end = Date.now() + limits.deadlineMs;
  for await (const chunk of response.body) {
    size += chunk.length;
    if (size > limits.maxBytes) throw tooMuch(request, `the answer is larger than ${limits.maxBytes} bytes`);
    if (Date.now() > end) throw tooMuch(request, `the answer takes longer than ${limits.deadlineMs / 1000} s`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooMuch(request: HttpRequest, reason: string): RegistryError {
  return new RegistryError('REGISTRY_ERROR', `Cannot ${request.action}: ${reason}`, {
    request: failedRequest(request.method, request.url),
  });
}
