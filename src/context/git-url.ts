/**
 * Addresses of git repositories in a build: `https://host/app.git#ref:subdir`, the same with a query, `git@host:path`.
 * Source: Docker's reference, "ADD git repository" and "Git repositories" of the build context.
 */

import { TsbuildError } from '../errors.ts';
import { goBoolean } from '../go-boolean.ts';

export interface GitAddress {
  /** For git: without fragment, query of ours and credentials. */
  readonly remote: string;
  /** The host with its port, in lower case: whose credentials may be sent. */
  readonly host: string;
  readonly transport: 'git' | 'http' | 'https' | 'ssh';
  /** `user:password` of an http address, decoded. */
  readonly credentials: string | undefined;
  /** Branch, tag, full reference or commit; undefined: the default branch. */
  readonly ref: string | undefined;
  /** Which kind of name `ref` is, where the query says. */
  readonly refKind: 'any' | 'branch' | 'tag';
  /** Clean, without slashes at its ends; '' is the root. */
  readonly subdir: string;
  /** A commit, or the beginning of one. */
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean | undefined;
  readonly submodules: boolean;
  /** Times of files: when they were checked out, or of the commit. */
  readonly mtime: 'checkout' | 'commit';
}

const ADDRESS_BYTES_MAX = 8192;
const REF_BYTES_MAX = 1024;
/** `user@host:path`, which is no URL. */
const SCP = /^([\w.][\w.-]*)@([\w.][\w.-]*):(?!\/\/)([^#?]+)(\?[^#]*)?(?:#(.*))?$/s;

/** Whether `text` names a repository, as Docker tells it from a file: by scheme, or by a path that ends with `.git`. */
export function isGitAddress(text: string): boolean {
  return /^(?:git|ssh):\/\//i.test(text) || /^[\w.-]+@[\w.-]+:/.test(text) || /^https?:\/\/[^?#]*\.git\/?(?:[?#]|$)/i.test(text);
}

/** Throws DOCKERFILE_SYNTAX for what no git address can be; messages never hold credentials. */
export function parseGitAddress(text: string): GitAddress {
  // Git itself would take a control character for the end of a line in what it writes and reads.
  if (text.length > ADDRESS_BYTES_MAX || /[\x00-\x20\x7f]/.test(text))
    throw invalid('it is too long, or holds a control character or a blank');
  const scp = /^[a-z]+:\/\//i.test(text) ? null : SCP.exec(text);
  if (scp !== null) {
    const [, user = '', host = '', path = '', query = '', fragment] = scp;
    if (host.startsWith('-') || path.startsWith('-')) throw invalid('its host or path begins with "-"');
    const place = { remote: `${user}@${host}:${path}`, host: host.toLowerCase(), transport: 'ssh' as const, credentials: undefined };
    return { ...place, ...choices(new URLSearchParams(query), fragment) };
  }
  if (!URL.canParse(text)) throw invalid('it is no valid URL');
  const url = new URL(text);
  const { searchParams } = url;
  return { ...placeOf(url), ...choices(searchParams, url.hash === '' ? undefined : decoded(url.hash.slice(1))) };
}

/** As it may be shown and kept: no credentials, no query, no fragment. */
export function shownGitAddress({ remote }: Pick<GitAddress, 'remote'>): string {
  return remote;
}

/** false for a name that git could take for an option, or that no reference has (git-check-ref-format(1)). */
export function isRef(ref: string): boolean {
  const isBad =
    ref === '' ||
    Buffer.byteLength(ref) > REF_BYTES_MAX ||
    /(?:^|\/)-/.test(ref) ||
    /[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|^\/|\/$|\.$|\.lock(?:\/|$)|(?:^|\/)\./.test(ref) ||
    ref === '@';
  return !isBad;
}

function checkRef(ref: string): string {
  if (isRef(ref)) return ref;
  throw invalid(`${JSON.stringify(ref.slice(0, 100))} is no name of a branch, a tag or a commit`);
}

/** A path inside the repository, clean. Throws DOCKERFILE_SYNTAX for one that leaves it or enters `.git`. */
function checkSubdir(text: string): string {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  for (const part of parts) {
    if (part === '..') throw invalid(`the directory ${JSON.stringify(text.slice(0, 200))} leads out of it`);
    if (/^\.git$/i.test(part) || part.startsWith('-') || /[\x00-\x1f\x7f\\]/.test(part))
      throw invalid(`${JSON.stringify(part.slice(0, 100))} is no directory to use`);
  }
  return parts.join('/');
}

type Place = Pick<GitAddress, 'remote' | 'host' | 'transport' | 'credentials'>;

function placeOf(url: URL): Place {
  const transport = url.protocol.slice(0, -1);
  if (transport !== 'git' && transport !== 'http' && transport !== 'https' && transport !== 'ssh')
    throw invalid(`its scheme is ${JSON.stringify(transport.slice(0, 20))}, not https, http, ssh or git`);
  if (url.hostname === '' || url.hostname.startsWith('-') || decoded(url.username).startsWith('-')) throw invalid('it names no host');
  if (decoded(url.pathname).replace(/^\/+/, '').startsWith('-')) throw invalid('its path begins with "-"');
  const user = transport === 'ssh' && url.username !== '' ? `${url.username}@` : '';
  const remote = `${url.protocol}//${user}${url.host}${url.pathname}`;
  const given = `${decoded(url.username)}:${decoded(url.password)}`;
  const isHttp = transport === 'http' || transport === 'https';
  return { remote, host: url.host.toLowerCase(), transport, credentials: isHttp && given !== ':' ? given : undefined };
}

type Choices = Omit<GitAddress, keyof Place>;

function choices(query: URLSearchParams, fragment: string | undefined): Choices {
  const known = new Map<string, string>();
  for (const [key, value] of query) {
    if (!QUERY_KEYS.has(key)) throw invalid(`its query has ${JSON.stringify(key.slice(0, 50))}, which means nothing there`);
    if (known.has(key)) throw invalid(`its query has ${key} twice`);
    known.set(key, value);
  }
  if (fragment !== undefined && fragment !== '' && known.size > 0 && ['ref', 'tag', 'branch', 'subdir'].some((key) => known.has(key)))
    throw invalid('it names a place in the repository both after "?" and after "#"');
  const [fromFragment = '', ...subdir] = (fragment ?? '').split(':');
  const named = ['ref', 'branch', 'tag'].filter((key) => (known.get(key) ?? '') !== '');
  if (named.length > 1) throw invalid(`its query has ${named.join(' and ')}`);
  const ref = named[0] === undefined ? fromFragment : (known.get(named[0]) ?? '');
  return {
    ref: ref === '' ? undefined : checkRef(ref),
    refKind: named[0] === 'branch' || named[0] === 'tag' ? named[0] : 'any',
    subdir: checkSubdir(known.get('subdir') ?? subdir.join(':')),
    checksum: checksumOf(known.get('checksum') ?? known.get('commit')),
    keepGitDir: known.has('keep-git-dir') ? truth('keep-git-dir', known.get('keep-git-dir')) : undefined,
    submodules: known.has('submodules') ? truth('submodules', known.get('submodules')) : true,
    mtime: mtimeOf(known.get('mtime')),
  };
}

const QUERY_KEYS = new Set([
  ...['ref', 'branch', 'tag', 'subdir', 'checksum', 'commit', 'keep-git-dir', 'submodules', 'mtime'],
  // A commit is always asked for by its own name first.
  'fetch-by-commit',
]);

function mtimeOf(text: string | undefined): GitAddress['mtime'] {
  if (text === undefined || text === '' || text === 'checkout') return 'checkout';
  if (text === 'commit') return 'commit';
  throw invalid(`mtime=${text.slice(0, 50)} is neither checkout nor commit`);
}

/** A key alone is true. */
function truth(key: string, text: string | undefined): boolean {
  const said = goBoolean(text || 'true');
  if (said === undefined) throw invalid(`${key}=${text?.slice(0, 50)} is neither true nor false`);
  return said;
}

/** Throws DOCKERFILE_SYNTAX for what is not the beginning of a commit's name. */
export function checksumOf(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^[0-9a-f]{7,64}$/.test(text)) return text;
  throw invalid(`${JSON.stringify(text.slice(0, 100))} is no commit: it has 7 to 64 hex digits`);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) throw invalid('it holds a broken %');
    throw error;
  }
}

function invalid(reason: string): TsbuildError {
  return new TsbuildError('DOCKERFILE_SYNTAX', `Cannot use the address of a git repository: ${reason}`, {
    hint: 'Write it as https://host/app.git#ref:directory, or as https://host/app.git?ref=...&subdir=...',
  });
}
