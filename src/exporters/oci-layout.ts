/**
 * Images of the store → an OCI layout in a directory (image-spec image-layout.md). A layout that is there keeps what it has: blobs
 * are added, each by rename, and index.json is replaced last, so that a reader sees the old images or the new ones.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, lstatSync, rmSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { TsbuildError } from '../errors.ts';
import { canonicalJson } from '../oci/canonical-json.ts';
import { type Descriptor, MEDIA_TYPE } from '../oci/descriptor.ts';
import { MANIFEST_BYTES_MAX, parseManifestDocument } from '../oci/parse-manifest.ts';
import { makeDirectories } from '../sys/make-directories.ts';
import { exportFailure } from './export-failure.ts';
import { layoutEntries, layoutManifests, type NamedImage, type SaveSession, tellWritten } from './oci-archive.ts';
import type { ArchiveEntry } from './write-archive.ts';
import { writeFile } from './write-file.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';

/** When this rejects, the directory is what it was before. Throws EXPORT_FAILED, IMAGE_INVALID where its index.json is none. */
export async function writeLayout(session: SaveSession, images: readonly NamedImage[], directory: string): Promise<void> {
  const made: string[] = [];
  try {
    await addFiles(session, images, { directory, made });
  } catch (error) {
    for (const path of made.reverse()) rmSync(path, { force: true, recursive: true });
    throw exportFailure(error, directory);
  }
  tellWritten(session, images);
}

interface Target {
  readonly directory: string;
  /** What was not there before, in order. */
  readonly made: string[];
}

async function addFiles(session: SaveSession, images: readonly NamedImage[], target: Target): Promise<void> {
  makeDirectory(target, target.directory);
  const index = await mergedIndex(target.directory, layoutManifests(images));
  for (const entry of await layoutEntries(session.store, images)) {
    session.signal.throwIfAborted();
    if (entry.name.endsWith('/')) makeDirectory(target, join(target.directory, entry.name.slice(0, -1)));
    else if (entry.name !== 'index.json' && entry.name !== 'manifest.json') await addFile(session, target, entry);
  }
  await writeBytes(join(target.directory, 'index.json'), index);
}

/** A link in the place of one would lead elsewhere; the layout's own directory may be one. */
function makeDirectory({ made, directory }: Target, path: string): void {
  const first = makeDirectories(path);
  if (first !== undefined) made.push(first);
  if (path === directory || !lstatSync(path).isSymbolicLink()) return;
  throw new TsbuildError('EXPORT_FAILED', `Cannot write the output ${directory}: ${path} is a symbolic link`);
}

/** A blob that is there is kept if it is that blob. */
async function holds(path: string, { name, size }: { name: string; size: number }): Promise<boolean> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() !== true || stat.size !== size) return false;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex') === basename(name);
}

async function addFile({ signal }: SaveSession, { directory, made }: Target, entry: ArchiveEntry): Promise<void> {
  const path = join(directory, entry.name);
  if ('size' in entry && (await holds(path, entry))) return;
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) made.push(path);
  if ('bytes' in entry) await writeBytes(path, entry.bytes);
  else if ('size' in entry) await writeFile({ path }, (file) => pipeline(entry.chunks(), file, { signal }));
}

async function writeBytes(path: string, bytes: Buffer): Promise<void> {
  await writeFile({ path }, (file) => pipeline([bytes], file));
}

/** The images that are there, but for those whose names or digests are given anew. */
async function mergedIndex(directory: string, added: readonly Descriptor[]): Promise<Buffer> {
  const path = join(directory, 'index.json');
  const old = existsSync(path) ? await readIndex(path) : [];
  const names = new Set(added.map(({ annotations }) => annotations?.[REF_NAME]));
  const digests = new Set(added.map(({ digest }) => digest));
  const kept = old.filter(({ digest, annotations }) => {
    const name = annotations?.[REF_NAME];
    return name === undefined ? !digests.has(digest) : !names.has(name);
  });
  return canonicalJson({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [...kept, ...added] });
}

async function readIndex(path: string): Promise<readonly Descriptor[]> {
  const size = statSync(path).size;
  const bytes = size > MANIFEST_BYTES_MAX ? Buffer.alloc(0) : await readFile(path);
  const document = parseManifestDocument(bytes, MEDIA_TYPE.index, `${dirname(path)}/index.json`);
  return document.kind === 'index' ? document.index.manifests : [];
}
