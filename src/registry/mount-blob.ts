/** A blob of one repository in another one, without sending it. Source: distribution-spec "Mounting a blob from another repository". */
import type { BlobOptions } from './fetch-blob.ts';
import { RegistryError } from './registry-error.ts';
import { pullScope, pushScope, repositoryPath } from './repository.ts';
import { startedSession, startRequest, type Upload, type UploadSession, uploadError } from './upload-session.ts';

/** What registries say to mounts that they do not do: then the blob is sent. */
const MOUNT_REFUSED: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 501]);

/** 'mounted', or the upload session that the registry opened instead, or undefined where it refused. */
export async function tryMount(options: BlobOptions, upload: Upload, from: string): Promise<'mounted' | UploadSession | undefined> {
  const { repository, blob } = upload;
  const query = new URLSearchParams({ mount: blob.digest, from });
  try {
    const response = await options.requester.send({
      ...startRequest(upload),
      target: `${repositoryPath(repository)}/blobs/uploads/?${query}`,
      scopes: [pushScope(repository.repository), pullScope(from)],
      accept: [201, 202],
    });
    response.discard();
    if (response.status === 202) return startedSession(options, upload, response);
    const said = response.header('docker-content-digest');
    if (said === undefined || said === blob.digest) return 'mounted';
    throw uploadError(upload, response, `it stored ${JSON.stringify(said.slice(0, 100))} instead of ${blob.digest}`);
  } catch (error) {
    if (error instanceof RegistryError && error.status !== undefined && MOUNT_REFUSED.has(error.status)) return undefined;
    throw error;
  }
}
