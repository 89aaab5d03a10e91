/** `--load`: an image into the Docker daemon of this machine, by its own interface: POST /images/load (Docker Engine API). */
import { type IncomingMessage, request } from 'node:http';
import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { TsbuildError } from '../errors.ts';
import { type NamedImage, type SaveSession, saveImages } from './oci-archive.ts';

const SOCKET_DEFAULT = '/var/run/docker.sock';
/** Of what the daemon says; it is a line for each layer, and one for each name. */
const ANSWER_BYTES_MAX = 1 << 20;

/** Throws DOCKER_FAILED where there is no daemon, or where it refuses the image. */
export async function loadIntoDocker(session: SaveSession, images: readonly NamedImage[]): Promise<void> {
  const socketPath = socketOf(process.env['DOCKER_HOST']);
  const archive = new PassThrough();
  const answer = post(socketPath, archive, session.signal);
  // Whichever fails first ends the other: what the daemon says explains a broken pipe.
  const saving = saveImages(session, images, { stream: archive }).catch((error: unknown) => {
    archive.destroy();
    return { error };
  });
  const outcome = await answer.catch((error: unknown) => {
    archive.destroy();
    return { error };
  });
  const saved = await saving;
  session.signal.throwIfAborted();
  if (typeof outcome === 'string') return checkAnswer(outcome);
  throw saved?.error instanceof TsbuildError ? saved.error : failed(`${socketPath}: ${reasonOf(outcome.error)}`, outcome.error);
}

/** Throws DOCKER_FAILED for a daemon that is not reached through a socket of this machine. */
export function socketOf(dockerHost: string | undefined): string {
  if (dockerHost === undefined || dockerHost === '') return SOCKET_DEFAULT;
  const path = /^unix:\/\/(\/.+)$/.exec(dockerHost)?.[1];
  if (path !== undefined) return path;
  throw failed('DOCKER_HOST names no unix:// socket');
}

function post(socketPath: string, body: PassThrough, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/x-tar', host: 'docker' };
    const sent = request({ socketPath, path: '/images/load?quiet=1', method: 'POST', headers, signal }, (response) => {
      readAnswer(response).then(resolve, reject);
    });
    sent.on('error', reject);
    body.on('error', (error) => sent.destroy(error));
    body.on('close', () => (body.readableEnded ? undefined : sent.destroy()));
    body.pipe(sent);
  });
}

/** Objects on lines of their own; some that is no 200 is one object with a message. */
async function readAnswer(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  response.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= ANSWER_BYTES_MAX) chunks.push(chunk);
  });
  await finished(response);
  const text = Buffer.concat(chunks).toString();
  if (response.statusCode === 200) return text;
  const message = /"message":("(?:[^"\\]|\\.)*")/.exec(text)?.[1];
  throw new TsbuildError('DOCKER_FAILED', `${response.statusCode} ${message ?? ''}`);
}

/** The status is sent before the image is read: failures come as objects of the answer. */
function checkAnswer(answer: string): void {
  const error = /"error":("(?:[^"\\]|\\.)*")/.exec(answer)?.[1];
  if (error !== undefined) throw failed(String(JSON.parse(error)).slice(0, 1000));
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ECONNREFUSED' ? 'no daemon listens there' : message;
}

function failed(reason: string, cause?: unknown): TsbuildError {
  return new TsbuildError('DOCKER_FAILED', `Cannot load the image into Docker: ${reason}`, {
    hint: 'Start the daemon, or write an archive for docker load: --output type=docker,dest=FILE.',
    cause,
  });
}
