/** Brings a blob into a repository with as little sending as possible. Source: distribution-spec "Pushing blobs", "Mounting a blob". */
import { TsbuildError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { uploadTarget } from './endpoint.ts';
import type { BlobOptions } from './fetch-blob.ts';
import { failedRequest, RegistryError } from './registry-error.ts';
import { pullScope, pushScope, type Repository, repositoryName, repositoryPath } from './repository.ts';
import type { RegistryRequest } from './requester.ts';
import { backOff, mayRetry } from './retry.ts';
import { throttleProgress } from './transfer-progress.ts';
import type { HttpResponse } from './transport.ts';

export type OpenBlob = () => AsyncIterable<Buffer>;

/** One upload: in one PUT, or as PATCH and PUT for registries that want it so. */
type UploadWay = 'put' | 'patch';

/** A registry reads the whole blob once more before it answers the last request. */
const COMMIT_MS = 300_000;
/** What registries say to the way of upload that they do not have. */
const WAY_REFUSED: ReadonlySet<number> = new Set([404, 405, 411, 415, 416, 501]);
/** What registries say to mounts that they do not do: then the blob is sent. */
const MOUNT_REFUSED: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 501]);
const MOUNTS_MAX = 4;

/** Whether the repository has the blob, with the right size where the registry says one. */
export async function hasBlob({ requester }: BlobOptions, repository: Repository, blob: Descriptor): Promise<boolean> {
  const response = await requester.send({
    method: 'HEAD',
    registry: repository.registry,
    target: `${repositoryPath(repository)}/blobs/${blob.digest}`,
    scopes: [pullScope(repository.repository)],
    accept: [200, 404],
    action: `look for blob ${blob.digest} in ${repositoryName(repository)}`,
  });
  response.discard();
  const length = response.header('content-length');
  return response.status === 200 && (length === undefined || Number(length) === blob.size);
}

/** Sends the blob, or finds it at one of the repositories `mountFrom` of the same registry. `open` is called for each try. */
export async function sendBlob(
  options: BlobOptions,
  repository: Repository,
  { blob, open, mountFrom }: { blob: Descriptor; open: OpenBlob; mountFrom: readonly string[] },
): Promise<'pushed' | 'mounted'> {
  let session: HttpResponse | undefined;
  for (const from of mountFrom.filter((name) => name !== repository.repository).slice(0, MOUNTS_MAX)) {
    const outcome = await tryMount(options, repository, { blob, from });
    if (outcome === 'mounted') return 'mounted';
    session = outcome ?? session;
  }
  await sendWithRetries(options, repository, { blob, open, session });
  return 'pushed';
}

interface Mount {
  readonly blob: Descriptor;
  readonly from: string;
}

/** 'mounted', or the upload session that the registry opened instead, or undefined where it refused. */
async function tryMount(
  options: BlobOptions,
  repository: Repository,
  { blob, from }: Mount,
): Promise<'mounted' | HttpResponse | undefined> {
  const query = new URLSearchParams({ mount: blob.digest, from });
  try {
    const response = await options.requester.send({
      ...startRequest(repository, blob),
      target: `${repositoryPath(repository)}/blobs/uploads/?${query}`,
      scopes: [pushScope(repository.repository), pullScope(from)],
      accept: [201, 202],
    });
    response.discard();
    if (response.status === 202) return response;
    checkAnswer(response, repository, blob);
    return 'mounted';
  } catch (error) {
    if (error instanceof RegistryError && error.status !== undefined && MOUNT_REFUSED.has(error.status)) return undefined;
    throw error;
  }
}

function startRequest(repository: Repository, blob: Descriptor): RegistryRequest {
  return {
    method: 'POST',
    registry: repository.registry,
    target: `${repositoryPath(repository)}/blobs/uploads/`,
    headers: { 'content-length': '0' },
    scopes: [pushScope(repository.repository)],
    accept: [202],
    action: `push blob ${blob.digest} to ${repositoryName(repository)}`,
  };
}

interface Upload {
  readonly blob: Descriptor;
  readonly open: OpenBlob;
  /** An upload session that is open already. */
  readonly session: HttpResponse | undefined;
}

async function sendWithRetries(options: BlobOptions, repository: Repository, upload: Upload): Promise<void> {
  let { session } = upload;
  let way: UploadWay = 'put';
  for (let failures = 1; ; ) {
    const started: HttpResponse = session ?? (await options.requester.send(startRequest(repository, upload.blob)));
    started.discard();
    session = undefined;
    try {
      await (way === 'put' ? putWhole : patchThenPut)(options, repository, { ...upload, session: started });
      return;
    } catch (error) {
      if (way === 'put' && error instanceof RegistryError && error.status !== undefined && WAY_REFUSED.has(error.status)) {
        way = 'patch';
        continue;
      }
      if (!mayRetry(options.policy, error, failures)) throw error;
      await backOff(options.policy, options.signal, { count: failures, error });
      failures += 1;
    }
  }
}

interface StartedUpload extends Upload {
  readonly session: HttpResponse;
}

async function putWhole(options: BlobOptions, repository: Repository, { blob, open, session }: StartedUpload): Promise<void> {
  const url = locationOf(options, repository, session);
  url.searchParams.set('digest', blob.digest);
  const response = await options.requester.sendOnce({
    ...startRequest(repository, blob),
    ...bodyOf(options, { blob, open }),
    method: 'PUT',
    target: url,
    accept: [201, 204],
    answerMs: COMMIT_MS,
  });
  response.discard();
  checkAnswer(response, repository, blob);
}

async function patchThenPut(options: BlobOptions, repository: Repository, { blob, open, session }: StartedUpload): Promise<void> {
  const patched = await options.requester.sendOnce({
    ...startRequest(repository, blob),
    ...bodyOf(options, { blob, open }),
    method: 'PATCH',
    target: locationOf(options, repository, session),
    accept: [202, 204],
  });
  patched.discard();
  checkRange(patched, repository, blob);
  const url = locationOf(options, repository, patched);
  url.searchParams.set('digest', blob.digest);
  const accept = [201, 204];
  const response = await options.requester.sendOnce({
    ...startRequest(repository, blob),
    method: 'PUT',
    target: url,
    accept,
    answerMs: COMMIT_MS,
  });
  response.discard();
  checkAnswer(response, repository, blob);
}

function bodyOf(options: BlobOptions, { blob, open }: Pick<Upload, 'blob' | 'open'>): Pick<RegistryRequest, 'headers' | 'open'> {
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) };
  return { headers, open: () => (blob.size === 0 ? Buffer.alloc(0) : counted(options, { blob, open })) };
}

/**
 * The blob's bytes; throws where the source has not exactly as many as it should: that is our own store's fault, not the registry's.
 * The last bytes go out only when the source has come to its end, where it may find that its bytes are wrong: a registry never has
 * all of such a blob, and its own verdict cannot come first.
 */
async function* counted(options: BlobOptions, { blob, open }: Pick<Upload, 'blob' | 'open'>): AsyncGenerator<Buffer, void, undefined> {
  const report = throttleProgress(options.onProgress);
  let bytes = 0;
  let last: Buffer | undefined;
  for await (const chunk of open()) {
    bytes += chunk.length;
    if (bytes > blob.size) throw wrongSource(blob, 'more');
    report({ id: blob.digest, bytes, total: blob.size, direction: 'push' });
    if (last !== undefined) yield last;
    last = chunk;
  }
  if (bytes < blob.size) throw wrongSource(blob, `${bytes} bytes`);
  if (last !== undefined) yield last;
}

function wrongSource(blob: Descriptor, found: string): TsbuildError {
  return new TsbuildError(
    'DIGEST_MISMATCH',
    `Cannot push blob ${blob.digest}: its source should give ${blob.size} bytes and gave ${found}`,
  );
}

function locationOf({ requester }: BlobOptions, repository: Repository, response: HttpResponse): URL {
  const verdict = uploadTarget(response.header('location'), response.url, requester.endpoint(repository.registry));
  if ('url' in verdict) return verdict.url;
  throw pushError(repository, response, verdict.reason);
}

/** The registry must have taken all that was sent. */
function checkRange(response: HttpResponse, repository: Repository, blob: Descriptor): void {
  const range = response.header('range');
  if (range === undefined || blob.size === 0 || range.replace(/^bytes=/, '') === `0-${blob.size - 1}`) return;
  throw pushError(repository, response, `it took bytes ${JSON.stringify(range.slice(0, 60))} of ${blob.size}`, 2);
}

function checkAnswer(response: HttpResponse, repository: Repository, blob: Descriptor): void {
  const said = response.header('docker-content-digest');
  if (said === undefined || said === blob.digest) return;
  throw pushError(repository, response, `it stored ${JSON.stringify(said.slice(0, 100))} instead of ${blob.digest}`);
}

function pushError(repository: Repository, response: HttpResponse, reason: string, attemptsMax = 1): RegistryError {
  return new RegistryError('REGISTRY_ERROR', `Cannot push to ${repositoryName(repository)}: ${reason}`, {
    request: failedRequest('PUT', response.url),
    status: response.status,
    attemptsMax,
  });
}
