/** Image references: registry, repository, tag or digest. Source: the distribution project's reference grammar. */
import { TsbuildError } from '../errors.ts';
import { type Digest, isDigest } from './digest.ts';

export interface Reference {
  /** Host with optional port, such as `docker.io` or `127.0.0.1:5000`. */
  readonly registry: string;
  /** Such as `library/debian`. */
  readonly repository: string;
  /** `latest` where neither tag nor digest was given; undefined with a digest alone. */
  readonly tag?: string;
  /** Beats the tag. */
  readonly digest?: Digest;
}

const DEFAULT_REGISTRY = 'docker.io';
const HOST =
  /^(?:\[[a-fA-F0-9:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*)(?::[0-9]{1,5})?$/;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
/** Longest name (host and repository) that the grammar allows. */
const NAME_MAX = 255;

/** `debian` → docker.io/library/debian:latest. Throws REFERENCE_INVALID. */
export function parseReference(text: string): Reference {
  const [rest, digest] = splitDigest(text);
  const colon = rest.lastIndexOf(':');
  const tagged = colon > rest.lastIndexOf('/');
  const name = tagged ? rest.slice(0, colon) : rest;
  const tag = tagged ? rest.slice(colon + 1) : undefined;
  if (tag !== undefined && !TAG.test(tag)) invalid(text, `${JSON.stringify(tag.slice(0, 130))} is not a tag`);
  const { registry, repository } = splitName(text, name);
  const version = digest === undefined ? { tag: tag ?? 'latest' } : tag === undefined ? { digest } : { tag, digest };
  return { registry, repository, ...version };
}

/** As parseReference(), of a name to give: an image has its digest already. */
export function parseNewName(text: string): Reference {
  const reference = parseReference(text);
  if (reference.digest !== undefined) invalid(text, 'a name that is given to an image has no digest in it');
  return reference;
}

/** The whole reference: `docker.io/library/debian:latest`. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${reference.registry}/${reference.repository}${tag}${digest}`;
}

/** As people write it: `docker.io/library/debian:latest` → `debian:latest`. */
export function familiarName(reference: Reference): string {
  const full = formatReference(reference);
  if (!full.startsWith(`${DEFAULT_REGISTRY}/`)) return full;
  const short = full.slice(DEFAULT_REGISTRY.length + 1);
  return short.startsWith('library/') && !short.slice('library/'.length).includes('/') ? short.slice('library/'.length) : short;
}

function splitDigest(text: string): [string, Digest | undefined] {
  const at = text.indexOf('@');
  if (at === -1) return [text, undefined];
  const digest = text.slice(at + 1);
  if (!isDigest(digest)) return invalid(text, `${JSON.stringify(digest.slice(0, 80))} is not a sha256 digest`);
  return [text.slice(0, at), digest];
}

function splitName(text: string, name: string): { registry: string; repository: string } {
  if (name.length === 0 || name.length > NAME_MAX) invalid(text, 'the name is empty or longer than 255 characters');
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost' || first !== first.toLowerCase();
  const registry = isHost ? first : DEFAULT_REGISTRY;
  const path = isHost ? name.slice(slash + 1) : name;
  if (!HOST.test(registry)) invalid(text, `${JSON.stringify(registry)} is not a host`);
  for (const component of path.split('/')) {
    if (!COMPONENT.test(component))
      invalid(
        text,
        component === component.toLowerCase() ? `${JSON.stringify(component)} is not a repository name` : 'repository names are lower-case',
      );
  }
  const host = registry === 'index.docker.io' ? DEFAULT_REGISTRY : registry;
  return { registry: host, repository: host === DEFAULT_REGISTRY && !path.includes('/') ? `library/${path}` : path };
}

function invalid(text: string, reason: string): never {
  throw new TsbuildError('REFERENCE_INVALID', `Cannot use ${JSON.stringify(text.slice(0, 300))} as an image reference: ${reason}`, {
    hint: 'Write it as [registry/]repository[:tag][@sha256:digest], such as debian:bookworm.',
  });
}
