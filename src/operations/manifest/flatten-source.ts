/** A source of an index → the manifests in it, each with its platform. */
import type { IndexPart, PlatformDetails } from '../../images/assemble-index.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { invalid } from '../../oci/json-fields.ts';
import { CONFIG_BYTES_MAX, parseImageConfig } from '../../oci/parse-config.ts';
import { isConfigType } from '../../oci/parse-manifest.ts';
import { normalizePlatform } from '../../oci/platform.ts';
import { type JsonObject, type JsonValue, parseStrictJson } from '../../oci/strict-json.ts';
import type { Session } from '../../session.ts';
import { childDocument, type FoundDocument } from './find-document.ts';
import { keepDocument } from './keep-document.ts';

const INDEX_DEPTH_MAX = 8;

/** Puts manifests and configs into the store, and no layer. Indexes in an index are opened, too. */
export async function flattenSource(session: Session, found: FoundDocument, depth = 0): Promise<IndexPart[]> {
  if (depth > INDEX_DEPTH_MAX) invalid(`index ${found.descriptor.digest}`, `it nests deeper than ${INDEX_DEPTH_MAX}`);
  if (found.document.kind === 'manifest') return [await partOf(session, found, found.descriptor)];
  const details = platformDetails(found.bytes);
  const parts: IndexPart[] = [];
  for (const child of found.document.index.manifests) {
    const inside = await childDocument(session, found, child);
    if (inside.document.kind === 'index') parts.push(...(await flattenSource(session, inside, depth + 1)));
    else parts.push({ ...(await partOf(session, inside, child)), ...details(child.digest) });
  }
  return parts;
}

/** `named`: as an index has it; what it leaves out comes from the manifest. */
async function partOf(session: Session, found: FoundDocument, named: Descriptor): Promise<IndexPart> {
  await keepDocument(session, found);
  const { mediaType, digest, size } = found.descriptor;
  const { annotations, artifactType = artifactTypeOf(found) } = named;
  const descriptor = {
    ...{ mediaType, digest, size },
    ...(annotations === undefined ? {} : { annotations }),
    ...(artifactType === undefined ? {} : { artifactType }),
  };
  return { descriptor, ...(named.platform === undefined ? await configPlatform(session, found) : { platform: named.platform }) };
}

function artifactTypeOf({ document }: FoundDocument): string | undefined {
  return document.kind === 'manifest' ? document.manifest.artifactType : undefined;
}

async function configPlatform({ store }: Session, { document }: FoundDocument): Promise<Pick<IndexPart, 'platform' | 'details'>> {
  if (document.kind === 'index' || !isConfigType(document.manifest.config.mediaType)) return { platform: undefined };
  const { digest } = document.manifest.config;
  const bytes = await store.content.read(digest, { maxBytes: CONFIG_BYTES_MAX });
  const config = parseImageConfig(bytes, `config ${digest}`);
  return { platform: normalizePlatform(config), details: detailsOf(parseStrictJson(bytes, `config ${digest}`)) };
}

/** What the index says of Windows: our own platforms have no room for it. */
function platformDetails(bytes: Buffer): (digest: string) => Pick<IndexPart, 'details'> {
  const { manifests } = parseStrictJson(bytes, 'the index') as { readonly manifests: readonly JsonObject[] };
  const found = new Map(manifests.map((entry) => [entry['digest'], detailsOf(entry['platform'])]));
  return (digest) => {
    const details = found.get(digest);
    return details === undefined ? {} : { details };
  };
}

function detailsOf(value: JsonValue | undefined): PlatformDetails | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { 'os.version': version, 'os.features': features } = value as JsonObject;
  const details = {
    ...(typeof version === 'string' && version !== '' ? { 'os.version': version } : {}),
    ...(Array.isArray(features) && features.length > 0 ? { 'os.features': features.filter((each) => typeof each === 'string') } : {}),
  };
  return Object.keys(details).length === 0 ? undefined : details;
}
