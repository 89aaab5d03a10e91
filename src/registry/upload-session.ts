/** An upload as the registry knows it: where it goes on, and how much of it is there. Source: distribution-spec "Pushing blobs". */
import type { Descriptor } from '../oci/descriptor.ts';
import { uploadTarget } from './endpoint.ts';
import type { BlobOptions } from './fetch-blob.ts';
import { failedRequest, RegistryError } from './registry-error.ts';
import { pushScope, type Repository, repositoryName, repositoryPath } from './repository.ts';
import type { RegistryRequest } from './requester.ts';
import type { HttpResponse } from './transport.ts';

export interface UploadSession {
  /** For the next request: each answer may name another one. */
  readonly url: URL;
  /** Bytes that the registry says it has. */
  readonly offset: number;
  /** Least bytes of a piece that is not the last; 0 where the registry does not say. */
  readonly pieceMin: number;
}

export interface Upload {
  readonly repository: Repository;
  readonly blob: Descriptor;
}

/** A registry that wants larger pieces than this gets the whole blob in one. */
const PIECE_MIN_MAX = 1024 ** 3;

export function startRequest({ repository, blob }: Upload): RegistryRequest {
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

export async function startUpload(options: BlobOptions, upload: Upload): Promise<UploadSession> {
  const response = await options.requester.send(startRequest(upload));
  response.discard();
  return startedSession(options, upload, response);
}

/** The session that an answer opens. */
export function startedSession(options: BlobOptions, upload: Upload, response: HttpResponse): UploadSession {
  const said = response.header('oci-chunk-min-length') ?? '';
  const pieceMin = /^[0-9]{1,15}$/.test(said) ? Number(said) : 0;
  return { url: locationOf(options, upload, response), offset: 0, pieceMin: pieceMin > PIECE_MIN_MAX ? 0 : pieceMin };
}

/** What is there of an upload that broke; undefined where the registry has forgotten it or does not say. */
export async function uploadStatus(options: BlobOptions, upload: Upload, session: UploadSession): Promise<UploadSession | undefined> {
  try {
    const response = await options.requester.send({
      ...startRequest(upload),
      method: 'GET',
      headers: {},
      target: session.url,
      accept: [200, 202, 204],
    });
    response.discard();
    const offset = takenBytes(response, upload.blob);
    if (offset === undefined) return undefined;
    const url = response.header('location') === undefined ? session.url : locationOf(options, upload, response);
    return { ...session, url, offset };
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

/** The session after a PATCH whose last byte was `sent - 1`. */
export function continued(options: BlobOptions, upload: Upload, { session, response, sent }: Continuation): UploadSession {
  const { blob } = upload;
  const range = response.header('range');
  const offset = range === undefined ? sent : takenBytes(response, blob);
  // Less than was there before, or more than was sent: whatever it has, it is not this blob.
  if (offset === undefined || offset > sent || offset <= session.offset) {
    throw uploadError(upload, response, `it took bytes ${JSON.stringify((range ?? '').slice(0, 60))} of ${blob.size}`, 2);
  }
  return { ...session, url: locationOf(options, upload, response), offset };
}

export interface Continuation {
  readonly session: UploadSession;
  readonly response: HttpResponse;
  readonly sent: number;
}

/** `0-0` is what some registries say of nothing, too; of one byte it is only believed where the blob has no more. */
function takenBytes(response: HttpResponse, blob: Descriptor): number | undefined {
  const last = /^(?:bytes[= ])?0-(-?[0-9]{1,15})$/.exec(response.header('range')?.trim() ?? '')?.[1];
  if (last === undefined || Number(last) < -1 || Number(last) >= blob.size) return undefined;
  return last === '0' && blob.size > 1 ? 0 : Number(last) + 1;
}

function locationOf({ requester }: BlobOptions, upload: Upload, response: HttpResponse): URL {
  const verdict = uploadTarget(response.header('location'), response.url, requester.endpoint(upload.repository.registry));
  if ('url' in verdict) return verdict.url;
  throw uploadError(upload, response, verdict.reason);
}

export function uploadError({ repository }: Upload, response: HttpResponse, reason: string, attemptsMax = 1): RegistryError {
  return new RegistryError('REGISTRY_ERROR', `Cannot push to ${repositoryName(repository)}: ${reason}`, {
    request: failedRequest('PUT', response.url),
    status: response.status,
    attemptsMax,
  });
}
