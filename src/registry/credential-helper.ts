/** Asks `docker-credential-NAME` for a secret, or gives it one to keep. Source: the docker-credential-helpers protocol. */
import { spawn } from 'node:child_process';
import { TsbuildError } from '../errors.ts';
import type { Credential } from './credential.ts';
import { quoteForeignWords } from './foreign-words.ts';

const NAME = /^[a-z0-9_-]+$/;
const TIMEOUT_MS = 10_000;
const OUTPUT_MAX = 64 * 1024;
/** What every helper prints for a server that it does not know. */
const NOT_FOUND = 'credentials not found in native keychain';

/** The user name that stands for an identity token. */
const TOKEN_USER = '<token>';

/** The helper's credential for `server`; undefined where it has none. A helper that is missing, fails or hangs is an error, never anonymity. */
export async function askCredentialHelper(name: string, server: string, timeoutMs = TIMEOUT_MS): Promise<Credential | undefined> {
  const question: Question = { verb: 'get', input: `${server}\n`, timeoutMs };
  const { exitCode, output } = await runHelper(name, question);
  if (exitCode === 0) return parseAnswer(name, output);
  if (output.trim() === NOT_FOUND) return undefined;
  throw helperError(name, question, `it exited with code ${exitCode}`);
}

/** Gives the helper what it answers from now on for `server`. The secret goes through a pipe, never through arguments. */
export async function storeInHelper(name: string, server: string, credential: Credential): Promise<void> {
  const password = credential.kind === 'password';
  const [username, secret] = password ? [credential.username, credential.password] : [TOKEN_USER, credential.token];
  await tellHelper(name, 'store', JSON.stringify({ ServerURL: server, Username: username, Secret: secret }));
}

/** Makes the helper forget `server`; one that knows nothing of it is fine. */
export async function eraseFromHelper(name: string, server: string): Promise<void> {
  await tellHelper(name, 'erase', `${server}\n`);
}

async function tellHelper(name: string, verb: Verb, input: string): Promise<void> {
  const question: Question = { verb, input, timeoutMs: TIMEOUT_MS };
  const { exitCode, output } = await runHelper(name, question);
  if (exitCode === 0 || (verb === 'erase' && output.trim() === NOT_FOUND)) return;
  throw helperError(name, question, `it exited with code ${exitCode}`);
}

type Verb = 'get' | 'store' | 'erase';

interface Question {
  readonly verb: Verb;
  readonly input: string;
  readonly timeoutMs: number;
}

async function runHelper(name: string, question: Question): Promise<{ exitCode: number | null; output: string }> {
  const { verb, input, timeoutMs } = question;
  if (!NAME.test(name)) throw helperError(name.slice(0, 60), question, 'its name is not made of a-z, 0-9, _ and -');
  return await new Promise((resolve, reject) => {
    // Its errors are thrown away: they may quote secrets. It stays in our group, so that it can ask on the terminal and ends with Ctrl-C.
    const child = spawn(`docker-credential-${name}`, [verb], { stdio: ['pipe', 'pipe', 'ignore'] });
    const fail = (reason: string, cause?: unknown): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      child.stdout.destroy();
      reject(helperError(name, question, reason, cause));
    };
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs / 1000} s`), timeoutMs);
    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > OUTPUT_MAX) fail('its answer is too long');
      else chunks.push(chunk);
    });
    child.on('error', (error: NodeJS.ErrnoException) => fail(error.code === 'ENOENT' ? 'it is not in PATH' : `${error.code}`, error));
    child.on('close', (exitCode) => {
      clearTimeout(timer);
      resolve({ exitCode, output: Buffer.concat(chunks).toString('utf8') });
    });
    // A helper may end without reading its input.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

function parseAnswer(name: string, output: string): Credential {
  const { Username: username, Secret: secret } = parseObject(name, output);
  if (typeof username !== 'string' || typeof secret !== 'string') throw helperError(name, GET, 'its answer has no Username and Secret');
  return username === TOKEN_USER ? { kind: 'identity-token', token: secret } : { kind: 'password', username, password: secret };
}

function parseObject(name: string, output: string): { Username?: unknown; Secret?: unknown } {
  try {
    const value: unknown = JSON.parse(output);
    return typeof value === 'object' && value !== null ? value : {};
  } catch (error) {
    // Not the parser's words: they quote the answer, which is a secret.
    if (error instanceof SyntaxError) throw helperError(name, GET, 'its answer is not JSON');
    throw error;
  }
}

const GET = { verb: 'get' } as const;
const DOING = { get: 'ask', store: 'store in', erase: 'erase from' } as const;

function helperError(name: string, { verb }: Pick<Question, 'verb'>, reason: string, cause?: unknown): TsbuildError {
  const message = `Cannot ${DOING[verb]} the credential helper docker-credential-${quoteForeignWords(name)}: ${reason}`;
  return new TsbuildError(verb === 'get' ? 'REGISTRY_UNAUTHORIZED' : 'LOGIN_FAILED', message, {
    hint: 'Install the helper, or take its name out of credsStore and credHelpers in the Docker config.json.',
    cause,
  });
}
