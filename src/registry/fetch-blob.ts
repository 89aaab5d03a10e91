/** A blob's bytes, hashed and counted on the way; broken connections are resumed. Source: distribution-spec "Pulling blobs", RFC 9110 section 14. */
import { createHash } from 'node:crypto';
import { TsbuildError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { truncatedError } from './network-error.ts';
import { pullScope, type Repository, repositoryName, repositoryPath } from './repository.ts';
import type { RegistryRequest, Requester } from './requester.ts';
import { backOff, mayRetry, type RetryPolicy } from './retry.ts';
import { type OnProgress, throttleProgress } from './transfer-progress.ts';
import type { HttpRequest, HttpResponse } from './transport.ts';

export interface BlobOptions {
  readonly requester: Requester;
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress | undefined;
}

/** A connection that keeps breaking after some bytes is given up too. */
const RESUMES_MAX = 32;
/** Fewer bytes than these are no progress. */
const PROGRESS_BYTES_MIN = 64 * 1024;

/** Who finds out whether the bytes are the blob's: hashing all of them twice is a second for each two gigabytes. */
export type DigestCheck = 'here' | 'by-caller';

/**
 * Yields exactly `size` bytes, of `digest` unless the caller checks that, or throws DIGEST_MISMATCH or REGISTRY_*. What was yielded
 * before an error is not verified: keep it apart until the end.
 */
export async function* fetchBlob(
  options: BlobOptions,
  repository: Repository,
  { blob, check = 'here' }: { blob: Descriptor; check?: DigestCheck | undefined },
): AsyncGenerator<Buffer, void, undefined> {
  const hash = check === 'here' ? createHash('sha256') : undefined;
  const report = throttleProgress(options.onProgress);
  const source: BlobRest['source'] = { etag: undefined };
  let [offset, reached] = [0, 0];
  for (let failures = 0, resumes = 0; ; resumes += 1) {
    try {
      for await (const chunk of readFrom(options.requester, repository, { blob, offset, source })) {
        offset += chunk.length;
        hash?.update(chunk);
        report({ id: blob.digest, bytes: offset, total: blob.size, direction: 'pull' });
        yield chunk;
      }
      break;
    } catch (error) {
      failures = offset - reached >= PROGRESS_BYTES_MIN ? 1 : failures + 1;
      reached = offset;
      if (resumes >= RESUMES_MAX || !mayRetry(options.policy, error, failures)) throw error;
      await backOff(options.policy, options.signal, { count: failures, error });
    }
  }
  const found = hash === undefined ? blob.digest : `sha256:${hash.digest('hex')}`;
  if (found !== blob.digest) throw mismatch(repository, blob.digest, found);
}

interface BlobRest {
  readonly blob: Descriptor;
  readonly offset: number;
  /** The validator of the answer that the bytes before `offset` came with. */
  readonly source: { etag: string | undefined };
}

/** The bytes from `offset` to the end over one connection; TRUNCATED where they end early. */
async function* readFrom(requester: Requester, repository: Repository, rest: BlobRest): AsyncGenerator<Buffer, void, undefined> {
  const { blob, offset } = rest;
  // A break after the last byte leaves nothing to ask for.
  if (offset === blob.size && offset > 0) return;
  const request = blobRequest(repository, rest);
  const response = await requester.sendOnce(request);
  try {
    const http: HttpRequest = { method: 'GET', url: response.url, headers: {}, action: request.action };
    let position = startOf(response, repository, rest);
    rest.source.etag = response.header('etag');
    for await (const chunk of response.body) {
      const end = position + chunk.length;
      if (end > blob.size) throw mismatch(repository, `${blob.size} bytes`, 'more');
      if (end > offset) yield position >= offset ? chunk : chunk.subarray(offset - position);
      position = end;
    }
    if (position < blob.size) throw truncatedError(http);
  } finally {
    response.discard();
  }
}

function blobRequest(repository: Repository, { blob, offset, source }: BlobRest): RegistryRequest {
  // A weak one does not say that the bytes are the same. Source: RFC 9110 section 13.1.5.
  const isStrong = source.etag !== undefined && /^"[\x21\x23-\x7e]{1,200}"$/.test(source.etag);
  return {
    method: 'GET',
    registry: repository.registry,
    target: `${repositoryPath(repository)}/blobs/${blob.digest}`,
    // A digest is of the bytes as stored: no content coding on the way.
    headers: {
      'accept-encoding': 'identity',
      ...(offset === 0 ? {} : { range: `bytes=${offset}-${blob.size - 1}`, ...(isStrong ? { 'if-range': source.etag ?? '' } : {}) }),
    },
    scopes: [pullScope(repository.repository)],
    accept: offset === 0 ? [200] : [200, 206],
    action: `pull blob ${blob.digest} of ${repositoryName(repository)}`,
  };
}

/** Where in the blob the answer begins: a server may ignore Range and send all of it. */
function startOf(response: HttpResponse, repository: Repository, { blob, offset }: BlobRest): number {
  const start = response.status === 206 ? offset : 0;
  const range = response.header('content-range');
  if (response.status === 206 && range !== undefined && !new RegExp(`^bytes ${offset}-${blob.size - 1}/(${blob.size}|\\*)$`).test(range)) {
    throw mismatch(repository, `bytes ${offset}-${blob.size - 1}/${blob.size}`, JSON.stringify(range.slice(0, 100)));
  }
  const length = response.header('content-length');
  if (length !== undefined && /^[0-9]+$/.test(length) && Number(length) > blob.size - start)
    throw mismatch(repository, `${blob.size} bytes`, `${start + Number(length)} bytes`);
  return start;
}

function mismatch(repository: Repository, expected: string, found: string): TsbuildError {
  return new TsbuildError('DIGEST_MISMATCH', `Cannot accept a blob of ${repositoryName(repository)}: expected ${expected}, found ${found}`);
}
