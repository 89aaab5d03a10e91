/** Brings a blob into a repository with as little sending as possible. Source: distribution-spec "Pushing blobs". */
import type { Descriptor } from '../oci/descriptor.ts';
import { blobSource, type OpenBlob } from './blob-source.ts';
import type { BlobOptions } from './fetch-blob.ts';
import { tryMount } from './mount-blob.ts';
import { pullScope, type Repository, repositoryName, repositoryPath } from './repository.ts';
import { uploadBlob } from './upload-blob.ts';
import type { UploadSession } from './upload-session.ts';

const MOUNTS_MAX = 4;

/** Whether the repository has the blob, with the right size where the registry says one. A registry without HEAD is taken not to have it. */
export async function hasBlob({ requester }: BlobOptions, repository: Repository, blob: Descriptor): Promise<boolean> {
  const response = await requester.send({
    method: 'HEAD',
    registry: repository.registry,
    target: `${repositoryPath(repository)}/blobs/${blob.digest}`,
    scopes: [pullScope(repository.repository)],
    accept: [200, 404, 405, 501],
    action: `look for blob ${blob.digest} in ${repositoryName(repository)}`,
  });
  response.discard();
  const length = response.header('content-length');
  return response.status === 200 && (length === undefined || Number(length) === blob.size);
}

/** Sends the blob, or finds it at one of the repositories `mountFrom` of the same registry. `open` is called for each try. */
export async function sendBlob(
  options: BlobOptions,
  repository: Repository,
  { blob, open, mountFrom }: { blob: Descriptor; open: OpenBlob; mountFrom: readonly string[] },
): Promise<'pushed' | 'mounted'> {
  let session: UploadSession | undefined;
  for (const from of mountFrom.filter((name) => name !== repository.repository).slice(0, MOUNTS_MAX)) {
    const outcome = await tryMount(options, { repository, blob }, from);
    if (outcome === 'mounted') return 'mounted';
    session = outcome ?? session;
  }
  await using source = blobSource(blob, open, options.onProgress);
  await uploadBlob(options, { repository, blob }, { source, session, isThere: () => hasBlob(options, repository, blob) });
  return 'pushed';
}
