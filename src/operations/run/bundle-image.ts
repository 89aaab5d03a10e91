/** `run --bundle`: an image's container as a bundle that any OCI runtime can start. */
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { bundleContainer } from '../../builder/execute/in-runtime.ts';
import { TsbuildError } from '../../errors.ts';
import { needPrivilege } from '../../sandbox/privilege.ts';
import { openSession } from '../../session.ts';
import { makeDirectories } from '../../sys/make-directories.ts';
import { containerCommand, containerSettings, prepareFiles, resourcesOf } from './container-command.ts';
import type { SilentOptions } from './run-options.ts';
import { runnableImage } from './runnable-image.ts';

export type BundleOptions = Omit<SilentOptions, 'publish' | 'publishAll' | 'runtime' | 'containerName'> & {
  /** A directory that is empty or not there. */
  readonly directory: string;
};

/** Writes `rootfs` and, last of all, `config.json`. Pulls the image where the store does not have it. Throws USAGE, and what `runImage` throws. */
export async function bundleImage(options: BundleOptions): Promise<void> {
  needPrivilege();
  if (options.network?.startsWith('container:') === true) {
    throw new TsbuildError('USAGE', 'Cannot write a bundle with the network of a container: it is gone when the bundle runs');
  }
  const settings = await containerSettings(options);
  const directory = emptyDirectory(options.directory);
  await using session = await openSession(options);
  const image = await runnableImage(session, options);
  const silent = containerCommand(options, image, settings);
  const active = await prepareFiles(session, image, silent);
  try {
    const command = { ...silent, hostname: options.hostname ?? 'tsbuild', onOutput() {} };
    await bundleContainer({ ...resourcesOf(session), networks: session.networks }, active, { command, directory });
  } finally {
    session.snapshots.discard(active);
  }
}

function emptyDirectory(path: string): string {
  const directory = resolve(path);
  makeDirectories(directory, 0o755);
  if (readdirSync(directory).length === 0) return directory;
  throw new TsbuildError('USAGE', `Cannot write a bundle to ${JSON.stringify(path)}: the directory is not empty`, {
    hint: 'Give one that is empty, or that is not there.',
  });
}
