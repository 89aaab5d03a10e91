/** What refers to a manifest: signatures, attestations, lists of contents. Source: distribution-spec "Listing Referrers", "Referrers Tag Schema". */
import { TsbuildError } from '../errors.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import type { ImageIndex } from '../oci/manifest.ts';
import { MANIFEST_BYTES_MAX, type ManifestDocument, parseManifestDocument } from '../oci/parse-manifest.ts';
import { putManifest } from './push-manifest.ts';
import { RegistryError } from './registry-error.ts';
import { pullScope, type Repository, repositoryName, repositoryPath } from './repository.ts';
import type { Requester } from './requester.ts';
import { fetchDocument } from './resolve-manifest.ts';
import type { HttpResponse } from './transport.ts';

export interface ReferrersQuestion {
  readonly subject: Digest;
  /** Those of this type alone. */
  readonly artifactType?: string | undefined;
}

export interface Referrers {
  readonly referrers: readonly Descriptor[];
  /** `tag`: the registry has no list of its own, and clients keep one under a tag. */
  readonly from: 'api' | 'tag';
}

const DEADLINE_MS = 60_000;
/** Pages and entries of a list that is longer than anybody needs. */
const PAGES_MAX = 100;
const REFERRERS_MAX = 10_000;
/** What registries say that do not have the list. */
const NO_API: ReadonlySet<number> = new Set([404, 405, 501]);
/** Others may change the tag at the same time. */
const TAG_ATTEMPTS = 5;

/** Throws REGISTRY_*, and REGISTRY_ERROR where the list is too long or goes on at another host. */
export async function listReferrers(requester: Requester, repository: Repository, question: ReferrersQuestion): Promise<Referrers> {
  const listed = await listByApi(requester, repository, question);
  const found = listed ?? (await readTag(requester, repository, question.subject))?.manifests ?? [];
  // Whether the registry has chosen or not: choosing again does no harm.
  const { artifactType } = question;
  const referrers = artifactType === undefined ? found : found.filter((each) => each.artifactType === artifactType);
  return { referrers, from: listed === undefined ? 'tag' : 'api' };
}

async function listByApi(requester: Requester, repository: Repository, question: ReferrersQuestion): Promise<Descriptor[] | undefined> {
  const { subject, artifactType } = question;
  const query = artifactType === undefined ? '' : `?${new URLSearchParams({ artifactType })}`;
  const found = new Map<string, Descriptor>();
  let target: string | URL | undefined = `${repositoryPath(repository)}/referrers/${subject}${query}`;
  for (let pages = 0; target !== undefined; pages += 1) {
    if (pages === PAGES_MAX || found.size > REFERRERS_MAX) throw listError(repository, subject, 'the list does not end');
    const page: Page = await readPage(requester, repository, { subject, target });
    if (page.response.status !== 200) return undefined;
    for (const referrer of indexOf(page.bytes, `the referrers of ${subject}`).manifests) found.set(referrer.digest, referrer);
    target = nextPage(page.response, repository, { subject, origin: requester.endpoint(repository.registry).origin });
  }
  return [...found.values()];
}

interface Page {
  readonly response: HttpResponse;
  readonly bytes: Buffer;
}

async function readPage(
  requester: Requester,
  repository: Repository,
  { subject, target }: { subject: Digest; target: string | URL },
): Promise<Page> {
  const request = {
    ...{ method: 'GET' as const, registry: repository.registry, target, headers: { accept: MEDIA_TYPE.index } },
    scopes: [pullScope(repository.repository)],
    // Of a later page they would be an error, but no such registry pages.
    accept: [200, ...NO_API],
    action: `list the referrers of ${repositoryName(repository)}@${subject}`,
  };
  return await requester.read(request, { maxBytes: MANIFEST_BYTES_MAX, deadlineMs: DEADLINE_MS });
}

/** `Link: </v2/...>; rel="next"`: at the registry itself or not at all, since credentials go there. Source: RFC 8288. */
function nextPage(response: HttpResponse, repository: Repository, at: { subject: Digest; origin: string }): URL | undefined {
  const link = response.header('link');
  const next = link === undefined ? undefined : /<([^>]{1,4096})>\s*;[^,]*\brel="?next"?/i.exec(link.slice(0, 8192))?.[1];
  if (next === undefined) return undefined;
  const url = URL.canParse(next, response.url.href) ? new URL(next, response.url) : undefined;
  if (url?.origin === at.origin && url.username === '' && url.password === '' && url.pathname.startsWith('/v2/')) return url;
  throw listError(repository, at.subject, 'the list goes on at another host');
}

/** The index under the tag, empty where there is none yet. Throws REGISTRY_ERROR where the tag is something else. */
async function readTag(requester: Requester, repository: Repository, subject: Digest): Promise<ImageIndex | undefined> {
  const { registry, repository: name } = repository;
  try {
    const { document } = await fetchDocument(requester, { registry, repository: name, tag: tagOf(subject) });
    if (document.kind === 'index') return document.index;
  } catch (error) {
    if (error instanceof RegistryError && error.status === 404) return undefined;
    throw error;
  }
  throw listError(repository, subject, `the tag ${tagOf(subject)}, which lists them, is no index`);
}

/** `sha256-<hex>` */
function tagOf(subject: Digest): string {
  return subject.replace(':', '-');
}

/**
 * Adds the manifest to the list under the tag of its subject, for registries that keep none. Two clients may do so at once, and
 * no registry tells: so it is looked at again, and added again where somebody else's list came later.
 */
export async function addToReferrersTag(
  requester: Requester,
  repository: Repository,
  referrer: { subject: Digest; descriptor: Descriptor },
): Promise<void> {
  const { subject, descriptor } = referrer;
  const { registry, repository: name } = repository;
  for (let attempt = 0; attempt < TAG_ATTEMPTS; attempt += 1) {
    const { manifests = [], annotations } = (await readTag(requester, repository, subject)) ?? {};
    if (manifests.some(({ digest }) => digest === descriptor.digest)) return;
    const { index: mediaType } = MEDIA_TYPE;
    const bytes = canonicalJson({ schemaVersion: 2, mediaType, manifests: [...manifests, descriptor], annotations });
    await putManifest(requester, { registry, repository: name, tag: tagOf(subject) }, { bytes, mediaType });
  }
  throw listError(repository, subject, `the tag ${tagOf(subject)}, which lists them, is changed by somebody else all the time`);
}

/** What the list has of a manifest; undefined where it refers to nothing. Source: distribution-spec "Pushing Manifests with Subject". */
export function referrerOf(bytes: Buffer, mediaType: string): { subject: Digest; descriptor: Descriptor } | undefined {
  // Most manifests have none, and need not be parsed a second time.
  if (!bytes.includes('"subject"')) return undefined;
  const document = parseManifestDocument(bytes, mediaType, 'the manifest that is pushed');
  const { subject, annotations, artifactType = configTypeOf(document) } = document.kind === 'index' ? document.index : document.manifest;
  if (subject === undefined) return undefined;
  const fields = { ...(artifactType === undefined ? {} : { artifactType }), ...(annotations === undefined ? {} : { annotations }) };
  return { subject: subject.digest, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length, ...fields } };
}

function configTypeOf(document: ManifestDocument): string | undefined {
  return document.kind === 'index' ? undefined : document.manifest.config.mediaType;
}

function indexOf(bytes: Buffer, subject: string): ImageIndex {
  const document = parseManifestDocument(bytes, MEDIA_TYPE.index, subject);
  if (document.kind === 'index') return document.index;
  throw new Error(`${subject} was parsed as an index and is none`);
}

function listError(repository: Repository, subject: Digest, reason: string): TsbuildError {
  return new TsbuildError('REGISTRY_ERROR', `Cannot list the referrers of ${repositoryName(repository)}@${subject}: ${reason}`);
}
