/** When a request is sent again, and after how long. Source: RFC 9110 "Retry-After". */
import { setTimeout as sleepFor } from 'node:timers/promises';
import { interruption } from './interruption.ts';
import { openPace, type Pace } from './pace.ts';
import { RegistryError } from './registry-error.ts';

export interface RetryOptions {
  /** Requests in all, the first included. */
  readonly attempts?: number;
  /** So often even where we would sooner give up, such as a port that refuses, or after a minute without an answer. */
  readonly insists?: boolean;
  /** First wait; each further one is twice as long, less up to a quarter by chance. */
  readonly baseMs?: number;
  /** Longest wait that a registry may ask for. */
  readonly retryAfterMaxMs?: number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
  /** 0 ≤ x < 1 */
  readonly random?: () => number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export type RetryPolicy = Required<RetryOptions> & { readonly pace: Pace };

export function retryPolicy(options: RetryOptions = {}): RetryPolicy {
  const policy: Required<RetryOptions> = {
    attempts: 5,
    insists: false,
    baseMs: 1000,
    retryAfterMaxMs: 60_000,
    sleep: (ms, signal) => sleepFor(ms, undefined, { signal }),
    random: Math.random,
    now: Date.now,
    ...options,
  };
  return { ...policy, pace: openPace({ sleep: policy.sleep, now: policy.now, distanceMs: policy.baseMs }) };
}

/** Statuses that may go away by themselves. */
const RETRIED_STATUSES: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524]);

/** Failures of the way to the registry → how many requests in all. A timeout has already waited a minute; a refused port rarely opens. */
const NETWORK_ATTEMPTS: ReadonlyMap<string, number> = new Map([
  ['ECONNRESET', 5],
  ['EPIPE', 5],
  ['ETIMEDOUT', 2],
  ['EAI_AGAIN', 3],
  ['ECONNREFUSED', 2],
  ['ENETUNREACH', 2],
  ['EHOSTUNREACH', 2],
  ['ENOTFOUND', 1],
  ['UND_ERR_SOCKET', 5],
  ['UND_ERR_CONNECT_TIMEOUT', 2],
  ['UND_ERR_HEADERS_TIMEOUT', 1],
  ['UND_ERR_BODY_TIMEOUT', 1],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 3],
  ['TRUNCATED', 3],
]);

export function attemptsOfStatus(status: number): number {
  return RETRIED_STATUSES.has(status) ? Number.POSITIVE_INFINITY : 1;
}

export function attemptsOfNetworkCode(code: string): { readonly attemptsMax: number; readonly mayPass: boolean } {
  return { attemptsMax: NETWORK_ATTEMPTS.get(code) ?? 1, mayPass: NETWORK_ATTEMPTS.has(code) };
}

/** Calls `attempt` until it returns, up to the policy's count and what the error itself allows; then its last error goes through. */
export async function withRetries<T>(policy: RetryPolicy, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!mayRetry(policy, error, count)) throw error;
      await backOff(policy, signal, { count, error });
    }
  }
}

/** Whether `error`, the outcome of request number `count`, allows another one. */
export function mayRetry(policy: RetryPolicy, error: unknown, count: number): error is RegistryError {
  if (!(error instanceof RegistryError)) return false;
  return count < (policy.insists && error.mayPass ? policy.attempts : Math.min(policy.attempts, error.attemptsMax));
}

export interface FailedAttempt {
  /** 1 for the first. */
  readonly count: number;
  readonly error: RegistryError;
}

/** Waits as long as the registry asked, else 1, 2, 4, ... times the base. A host that has too many requests gets none from anybody meanwhile. */
export async function backOff(policy: RetryPolicy, signal: AbortSignal, { count, error }: FailedAttempt): Promise<void> {
  const doubled = policy.baseMs * 2 ** (count - 1);
  const wait = Math.min(error.retryAfterMs ?? doubled * (1 - policy.random() / 4), policy.retryAfterMaxMs);
  if (isThrottled(error)) return policy.pace.hold(new URL(error.request.url).origin, wait);
  await orInterrupted(signal, policy.sleep(wait, signal));
}

/** The registry did not look at the request: it has too many. */
export function isThrottled({ status, retryAfterMs }: RegistryError): boolean {
  return status === 429 || (status === 503 && retryAfterMs !== undefined);
}

/** Waits until the host of `url` may be asked. */
export async function takeTurn({ pace }: RetryPolicy, signal: AbortSignal, url: URL): Promise<void> {
  await orInterrupted(signal, pace.turn(url.origin, signal));
}

async function orInterrupted(signal: AbortSignal, waiting: Promise<unknown>): Promise<void> {
  try {
    await waiting;
  } catch (error) {
    throw signal.aborted ? interruption(signal, 'wait for the registry') : error;
  }
}

/** `Retry-After: 7` or an HTTP date → milliseconds; undefined where it is absent, negative, past or nonsense. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  const text = header?.trim() ?? '';
  if (/^[0-9]{1,15}$/.test(text)) return Number(text) * 1000;
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return undefined;
  const wait = Date.parse(text) - now;
  return wait >= 0 ? wait : undefined;
}
