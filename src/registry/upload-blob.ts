/**
 * Sends a blob whole in one PUT, and otherwise as the registry wants it; what broke goes on where the registry has it up to.
 * One PUT is what every registry takes and the fewest requests. Source: distribution-spec "Pushing blobs".
 */
import type { BlobSource } from './blob-source.ts';
import type { BlobOptions } from './fetch-blob.ts';
import { RegistryError } from './registry-error.ts';
import { backOff, isThrottled, mayRetry } from './retry.ts';
import { continued, startRequest, startUpload, type Upload, type UploadSession, uploadError, uploadStatus } from './upload-session.ts';

export interface Sending {
  readonly source: BlobSource;
  /** An upload session that is open already. */
  readonly session: UploadSession | undefined;
  /** Asked when an upload broke after its last byte: the answer alone may be lost. */
  isThere(): Promise<boolean>;
}

/** In one PUT; in one PATCH before an empty PUT; or in several PATCHes that say where they belong. */
type UploadWay = 'put' | 'patch' | 'pieces';

const NEXT_WAY: Readonly<Record<UploadWay, UploadWay | undefined>> = { put: 'patch', patch: 'pieces', pieces: undefined };
/** A registry reads the whole blob once more before it answers the last request. */
const COMMIT_MS = 300_000;
/** What registries say to the way of upload that they do not have. */
const WAY_REFUSED: ReadonlySet<number> = new Set([404, 405, 411, 415, 416, 501]);
/** The same, said with 400. */
const WAY_REFUSED_CODES: ReadonlySet<string> = new Set(['UNSUPPORTED', 'BLOB_UPLOAD_INVALID']);
const TOO_LARGE = 413;
/** A registry asks for larger pieces where it wants them; GitHub's takes none that are larger. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** Less than this is sent again sooner than asked about. */
const RESUME_BYTES_MIN = 64 * 1024;
/** An upload that keeps breaking after some bytes is given up too. */
const RESUMES_MAX = 32;

/** Throws RegistryError, and what the source throws. */
export async function uploadBlob(options: BlobOptions, upload: Upload, { source, session, isThere }: Sending): Promise<void> {
  let way: UploadWay = 'put';
  let started = session;
  for (let failures = 1, resumes = 0; ; resumes += 1) {
    const rest = { source, way, session: started ?? (await startUpload(options, upload)) };
    const { offset } = rest.session;
    started = undefined;
    try {
      await sendRest(options, upload, rest);
      return;
    } catch (error) {
      const other: UploadWay | undefined = wayAfter(error, rest);
      if (other !== undefined) {
        way = other;
        continue;
      }
      if (resumes >= RESUMES_MAX || !(mayRetry(options.policy, error, failures) || mayRestart(error, rest.session, failures))) throw error;
      await backOff(options.policy, options.signal, { count: failures, error });
      if (isThrottled(error)) started = rest.session;
      else if (source.isSpent && (await isThere())) return;
      else if (upload.blob.size >= RESUME_BYTES_MIN) started = await uploadStatus(options, upload, rest.session);
      const isFurther = error.status === undefined && started !== undefined && started.offset > offset;
      failures = isFurther ? 1 : failures + 1;
    }
  }
}

/** A registry's first word on a way counts, not what it says when it had taken some of the blob. */
function wayAfter(error: unknown, { session, way }: Rest): UploadWay | undefined {
  if (session.offset > 0 || !(error instanceof RegistryError) || error.status === undefined) return undefined;
  if (error.status === TOO_LARGE) return way === 'pieces' ? undefined : 'pieces';
  const refused = WAY_REFUSED.has(error.status) || (error.status === 400 && error.codes.some((code) => WAY_REFUSED_CODES.has(code)));
  return refused ? NEXT_WAY[way] : undefined;
}

/** An upload that was to go on and cannot, or came out wrong, is begun again, once. */
function mayRestart(error: unknown, { offset }: UploadSession, failures: number): error is RegistryError {
  if (offset === 0 || failures > 1 || !(error instanceof RegistryError) || error.status === undefined) return false;
  return error.status >= 400 && error.status < 500 && error.status !== 401 && error.status !== 403;
}

interface Rest {
  readonly source: BlobSource;
  /** Moves on with each answer. */
  session: UploadSession;
  readonly way: UploadWay;
}

async function sendRest(options: BlobOptions, upload: Upload, rest: Rest): Promise<void> {
  const { size } = upload.blob;
  if (rest.way === 'put' && rest.session.offset === 0) {
    const open = () => (size === 0 ? Buffer.alloc(0) : rest.source.piece(0, size));
    return await commit(options, upload, { url: rest.session.url, open, length: size });
  }
  while (rest.session.offset < size) await sendPiece(options, upload, rest);
  await commit(options, upload, { url: rest.session.url, length: 0 });
}

async function sendPiece(options: BlobOptions, upload: Upload, rest: Rest): Promise<void> {
  const { session, source, way } = rest;
  const { offset, pieceMin, url } = session;
  const { size } = upload.blob;
  const end = way === 'pieces' ? Math.min(size, offset + Math.max(PIECE_BYTES, pieceMin)) : size;
  const isWhole = way === 'patch' && offset === 0;
  const response = await options.requester.sendOnce({
    ...startRequest(upload),
    method: 'PATCH',
    headers: { ...octets(end - offset), ...(isWhole ? {} : { 'content-range': `${offset}-${end - 1}` }) },
    open: () => source.piece(offset, end),
    target: url,
    accept: [200, 201, 202, 204],
  });
  response.discard();
  rest.session = continued(options, upload, { session, response, sent: end });
}

interface Commit {
  readonly url: URL;
  readonly open?: () => Buffer | AsyncIterable<Buffer>;
  readonly length: number;
}

async function commit(options: BlobOptions, upload: Upload, { url, open, length }: Commit): Promise<void> {
  const target = new URL(url);
  target.searchParams.set('digest', upload.blob.digest);
  const response = await options.requester.sendOnce({
    ...startRequest(upload),
    ...(open === undefined ? {} : { open }),
    headers: octets(length),
    method: 'PUT',
    target,
    accept: [200, 201, 204],
    answerMs: COMMIT_MS,
  });
  response.discard();
  const said = response.header('docker-content-digest');
  if (said === undefined || said === upload.blob.digest) return;
  throw uploadError(upload, response, `it stored ${JSON.stringify(said.slice(0, 100))} instead of ${upload.blob.digest}`);
}

function octets(length: number): Record<string, string> {
  return { 'content-type': 'application/octet-stream', 'content-length': String(length) };
}
