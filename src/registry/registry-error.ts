/** What a registry or the way to it refused. Source: distribution-spec "Error Codes". */
import { type ErrorDetails, type ErrorName, TsbuildError } from '../errors.ts';
import { shownUrl } from '../http/shown-url.ts';
import { quoteForeignWords } from './foreign-words.ts';

export interface FailedRequest {
  readonly method: string;
  /** Without userinfo and query. */
  readonly url: string;
}

export interface RegistryErrorFields {
  readonly request: FailedRequest;
  /** HTTP status; undefined where no answer came. */
  readonly status?: number | undefined;
  /** The registry's own codes, such as `MANIFEST_UNKNOWN`. */
  readonly codes?: readonly string[];
  /** Milliseconds that the registry asked to wait. */
  readonly retryAfterMs?: number | undefined;
  /** How often a request that ends so may be sent in all; 1 = not again. */
  readonly attemptsMax?: number;
  /** It may go away by itself, though another request is worth it only to who insists. */
  readonly mayPass?: boolean;
}

export class RegistryError extends TsbuildError {
  override readonly name: string = 'RegistryError';
  readonly request: FailedRequest;
  readonly status: number | undefined;
  readonly codes: readonly string[];
  readonly retryAfterMs: number | undefined;
  readonly attemptsMax: number;
  readonly mayPass: boolean;

  constructor(errorName: ErrorName, message: string, details: RegistryErrorFields & ErrorDetails) {
    super(errorName, message, details);
    this.request = details.request;
    this.status = details.status;
    this.codes = details.codes ?? [];
    this.retryAfterMs = details.retryAfterMs;
    this.attemptsMax = details.attemptsMax ?? 1;
    this.mayPass = details.mayPass ?? this.attemptsMax > 1;
  }
}

export function failedRequest(method: string, url: URL): FailedRequest {
  return { method, url: shownUrl(url) };
}

/** Codes and words out of an error body `{"errors":[{"code","message"}]}`; other bodies give none. */
export function parseErrorBody(body: string): { codes: readonly string[]; words: string } {
  const errors = errorList(body);
  const codes = errors.flatMap(({ code }) => (typeof code === 'string' && /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? [code] : []));
  const words = errors.flatMap(({ message }) => (typeof message === 'string' && message !== '' ? [quoteForeignWords(message)] : []));
  return { codes: codes.slice(0, 5), words: words.slice(0, 2).join('; ') };
}

function errorList(body: string): { code?: unknown; message?: unknown }[] {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== 'object' || value === null || !('errors' in value) || !Array.isArray(value.errors)) return [];
    return value.errors.filter((item: unknown): item is object => typeof item === 'object' && item !== null).slice(0, 5);
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** What `ask` gives; undefined where the registry does not have it. */
export async function ifThere<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof TsbuildError && error.code === 'ERR_TSBUILD_REGISTRY_NOT_FOUND') return undefined;
    throw error;
  }
}

/** The error code that a status stands for. */
export function errorNameOf(status: number): ErrorName {
  if (status === 401) return 'REGISTRY_UNAUTHORIZED';
  if (status === 403) return 'REGISTRY_DENIED';
  if (status === 404) return 'REGISTRY_NOT_FOUND';
  return 'REGISTRY_ERROR';
}
