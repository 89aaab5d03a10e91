/** Asks `docker-credential-NAME` for a secret. Source: the docker-credential-helpers protocol: server on stdin, JSON on stdout. */
import { spawn } from 'node:child_process';
import { TsbuildError } from '../errors.ts';
import type { Credential } from './credentials.ts';
import { redactText } from './redact.ts';

const NAME = /^[a-z0-9_-]+$/;
const TIMEOUT_MS = 10_000;
const OUTPUT_MAX = 64 * 1024;
/** What every helper prints for a server that it does not know. */
const NOT_FOUND = 'credentials not found in native keychain';

/** The helper's credential for `server`; undefined where it has none. A helper that is missing, fails or hangs is an error, never anonymity. */
export async function askCredentialHelper(name: string, server: string, timeoutMs = TIMEOUT_MS): Promise<Credential | undefined> {
  if (!NAME.test(name)) throw helperError(name.slice(0, 60), 'its name is not made of a-z, 0-9, _ and -');
  const { exitCode, output } = await runHelper(name, server, timeoutMs);
  if (exitCode !== 0) {
    if (output.trim() === NOT_FOUND) return undefined;
    throw helperError(name, `it exited with code ${exitCode}`);
  }
  return parseAnswer(name, output);
}

function runHelper(name: string, server: string, timeoutMs: number): Promise<{ exitCode: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(`docker-credential-${name}`, ['get'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const fail = (reason: string, cause?: unknown): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      child.stdout.destroy();
      reject(helperError(name, reason, cause));
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
    child.stdin.end(`${server}\n`);
  });
}

function parseAnswer(name: string, output: string): Credential {
  const answer = parseObject(name, output);
  const { Username: username, Secret: secret } = answer;
  if (typeof username !== 'string' || typeof secret !== 'string') throw helperError(name, 'its answer has no Username and Secret');
  return username === '<token>' ? { kind: 'identity-token', token: secret } : { kind: 'password', username, password: secret };
}

function parseObject(name: string, output: string): { Username?: unknown; Secret?: unknown } {
  try {
    const value: unknown = JSON.parse(output);
    return typeof value === 'object' && value !== null ? value : {};
  } catch (error) {
    // Not the parser's words: they quote the answer, which is a secret.
    if (error instanceof SyntaxError) throw helperError(name, 'its answer is not JSON');
    throw error;
  }
}

function helperError(name: string, reason: string, cause?: unknown): TsbuildError {
  return new TsbuildError('REGISTRY_UNAUTHORIZED', `Cannot ask the credential helper docker-credential-${redactText(name)}: ${reason}`, {
    hint: 'Install the helper, or take its name out of credsStore and credHelpers in the Docker config.json.',
    cause,
  });
}
