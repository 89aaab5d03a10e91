/** `--retry` and `--retry-delay`, as buildah has them. */
import { TsbuildError } from '../errors.ts';
import type { CommonOptions } from '../index.ts';
import type { FlagSpec, Flags } from './command-table.ts';
import { durationOf } from './duration-flag.ts';

export const RETRY_FLAGS: readonly FlagSpec[] = [
  { flags: '--retry <number>', description: 'how often a request to a registry that failed is sent again (default: 4)' },
  { flags: '--retry-delay <time>', description: 'the first wait before that, doubled each time (default: 1s)' },
];

const RETRIES_MAX = 100;

/** Throws USAGE. */
export function retriesOf({ retry, retryDelay }: Flags): CommonOptions['retries'] {
  if (retry === undefined && retryDelay === undefined) return undefined;
  return { count: retry === undefined ? undefined : countOf(retry), delayMs: durationOf('retry-delay', retryDelay) };
}

function countOf(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) <= RETRIES_MAX) return Number(text);
  throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text.slice(0, 100))} as --retry: not a number from 0 to ${RETRIES_MAX}`);
}
