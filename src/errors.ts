/**
 * The one error class a user can act on, and the table of its codes.
 * Anything else that escapes is a bug in tsbuild (exit 70).
 */

/** Lines (1-based) and columns (0-based, UTF-16 units) of a range in a Dockerfile. */
export interface SourceRange {
  readonly startLine: number;
  readonly startColumn: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** Where in which Dockerfile an error belongs; `text` is the whole file, for the excerpt. */
export interface SourceLocation {
  readonly file: string;
  readonly text: string;
  readonly range: SourceRange;
}

/** Code (without the `ERR_TSBUILD_` prefix) → one sentence of meaning. `docs/errors.md` documents each. */
export const ERROR_CODES = {
  USAGE: 'The command line is wrong',
  DOCKERFILE_NOT_FOUND: 'The Dockerfile cannot be read',
  DOCKERFILE_SYNTAX: 'The Dockerfile breaks the grammar',
  UNKNOWN_INSTRUCTION: 'No such instruction',
  UNSUPPORTED: 'A part of the language or a feature that tsbuild does not have',
  EXPANSION: 'A variable cannot be expanded',
  STAGE_NOT_FOUND: 'No such stage',
  STAGE_CYCLE: 'A stage depends on a later stage or on itself',
  CHECK_FAILED: 'The Dockerfile makes errors of what its check finds',
  CONTEXT_NOT_FOUND: 'The build context cannot be read',
  CONTEXT_PATH_NOT_FOUND: 'COPY or a mount names a path that is not there',
  CONTEXT_CHANGED: 'A file of the build context changed while it was read',
  COPY_CONFLICT: 'COPY would replace a directory by a file or the other way round',
  PATH_ESCAPE: 'A path leaves the root it belongs to',
  FETCH_FAILED: 'A URL or a git repository cannot be fetched',
  IMAGE_NOT_FOUND: 'No such image in the store or the registry',
  ATTESTATION_NOT_FOUND: 'Nothing is attested of an image',
  SIGNATURE_NOT_FOUND: 'An image has no signature',
  SIGNATURE_INVALID: 'No signature of an image is of the key that was given',
  KEY_INVALID: 'A key cannot be used',
  IMAGE_INVALID: 'An image breaks the OCI image specification',
  LAYER_INVALID: 'A layer archive is malformed or hostile',
  ARCHIVE_INVALID: 'An archive that ADD unpacks, or that is the build context, is malformed or hostile',
  REFERENCE_INVALID: 'Not an image reference',
  PLATFORM_NOT_FOUND: 'An image has no manifest for this platform',
  EMULATOR_MISSING: 'This machine cannot run programs of another architecture',
  CONTAINER_NOT_FOUND: 'No such container of `tsbuild run`',
  CONTAINER_RUNNING: 'A container runs that has to have ended',
  BUILD_NOT_FOUND: 'No such record of a build, or no such step of it',
  BUILD_RUNNING: 'A build runs that has to have ended',
  RUN_FAILED: 'The command of a RUN exited with a code other than 0',
  RUN_KILLED: 'The command of a RUN was killed by a signal',
  RUN_NOT_STARTED: 'The command of a RUN could not be started',
  MOUNT_INVALID: 'A mount of a RUN cannot be made',
  SECRET_INVALID: 'A secret or an SSH agent that a step needs was not given, or cannot be read',
  NOT_ALLOWED: 'A RUN asks for what the command line does not allow',
  DEVICE_NOT_FOUND: 'No such device, and a container was to have it',
  DEVICE_INVALID: 'A device cannot be given to a container',
  USER_NOT_FOUND: 'USER names a user or group that the image does not have',
  SYSCALL_FAILED: 'The kernel refused an operation',
  UNSUPPORTED_KERNEL: 'The kernel or the machine lacks what isolation needs',
  PRIVILEGE: 'The caller lacks the privilege that isolation needs',
  LIMIT_UNAVAILABLE: 'This machine cannot limit what a step was to be limited in',
  TIMEOUT: 'A step or the build took longer than it may',
  NETWORK_SETUP: 'The network of a step cannot be set up',
  NO_SPACE: 'The disk is full',
  EXPORT_FAILED: 'An output of the build cannot be written',
  CACHE_FAILED: 'A remote cache cannot be read or written',
  DOCKER_FAILED: 'A Docker daemon is not there, or does not take the image',
  STORE_INVALID: 'The state directory cannot be used',
  DIGEST_MISMATCH: 'Content does not match its digest or size',
  REGISTRY_UNREACHABLE: 'The registry does not answer',
  REGISTRY_UNAUTHORIZED: 'The registry refuses the credentials',
  LOGIN_FAILED: 'Credentials cannot be kept or removed',
  REGISTRY_BLOCKED: 'The configuration blocks this registry',
  CONFIGURATION_INVALID: 'The configuration of registries or certificates is wrong',
  REGISTRY_DENIED: 'The registry denies the request',
  REGISTRY_NOT_FOUND: 'The registry does not have the repository, tag or blob',
  REGISTRY_ERROR: 'The registry answers with an error or against the protocol',
  INTERRUPTED: 'The build was interrupted by a signal or by its caller',
} as const satisfies Record<string, string>;

export type ErrorName = keyof typeof ERROR_CODES;
export type ErrorCode = `ERR_TSBUILD_${ErrorName}`;

/** What may go with a message. Optional fields accept `undefined` so that callers can pass through. */
export interface ErrorDetails {
  /** What to do next: a full sentence. */
  readonly hint?: string | undefined;
  readonly location?: SourceLocation | undefined;
  readonly cause?: unknown;
}

/**
 * An error the user can act on. Message style: starts with a capital, no final period, says what could not be
 * done to which object, then `: reason`. Secrets must be redacted before they are passed in.
 */
export class TsbuildError extends Error {
  override readonly name: string = 'TsbuildError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly location: SourceLocation | undefined;

  constructor(name: ErrorName, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = `ERR_TSBUILD_${name}`;
    this.hint = details.hint;
    this.location = details.location;
  }

  /** The same error, placed in the Dockerfile; an error that has a place keeps it. */
  at(location: SourceLocation | undefined): this {
    if (this.location === undefined && location !== undefined) {
      Object.defineProperty(this, 'location', { value: location, enumerable: true });
    }
    return this;
  }

  /** The same error with one more sentence of advice. */
  hinted(sentence: string): this {
    const value = this.hint === undefined ? sentence : `${this.hint} ${sentence}`;
    Object.defineProperty(this, 'hint', { value, enumerable: true });
    return this;
  }
}

/** A refused system call: what was tried on what, with the errno's name. */
export class SyscallError extends TsbuildError {
  override readonly name: string = 'SyscallError';
  readonly syscall: string;
  /** errno's name, such as `ENOENT`; the field is `errno` so that it reads like the man page. */
  readonly errno: string;

  constructor(syscall: string, subject: string, errno: string, details: ErrorDetails = {}) {
    super(errno === 'ENOSPC' || errno === 'EDQUOT' ? 'NO_SPACE' : 'SYSCALL_FAILED', `Cannot ${syscall} ${subject}: ${errno}`, details);
    this.syscall = syscall;
    this.errno = errno;
  }
}

/** The command of a RUN ended badly. Exactly one of `exitCode` and `signal` is set. */
export class RunError extends TsbuildError {
  override readonly name: string = 'RunError';
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;

  constructor(message: string, end: { exitCode?: number; signal?: string }, details: ErrorDetails = {}) {
    super(end.signal === undefined ? 'RUN_FAILED' : 'RUN_KILLED', message, details);
    this.exitCode = end.exitCode;
    this.signal = end.signal;
  }
}

/** Numbers that libuv has no words for: such an error of node:fs says `Unknown system error -122`. The same on all of Linux but alpha, mips, parisc and sparc. */
const UNKNOWN_TO_LIBUV: ReadonlyMap<number, string> = new Map([
  [116, 'ESTALE'],
  [117, 'EUCLEAN'],
  [121, 'EREMOTEIO'],
  [122, 'EDQUOT'],
]);

/** The `code` of an error, which is errno's name for a failed call of node:fs; undefined where it has none. */
export function errorCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errno } = error as NodeJS.ErrnoException;
  return (errno === undefined ? undefined : UNKNOWN_TO_LIBUV.get(-errno)) ?? code;
}

/** What went wrong first: closing what was open may fail because of it, and a SuppressedError puts that in front. */
export function firstError(error: unknown): unknown {
  let first = error;
  while (first instanceof Error && first.name === 'SuppressedError' && 'suppressed' in first) first = first.suppressed;
  return first;
}

/** Marks the branch of a switch that the types rule out. */
export function unreachable(value: never): never {
  throw new Error(`Unreachable: ${String(value)}`);
}
