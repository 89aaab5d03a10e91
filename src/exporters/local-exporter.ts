/**
 * `type=local`: the files of the target stage in a directory. They are written aside, in a directory of ours in the same place, and
 * renamed when all are there. Everything goes by descriptors: no link that lies in the directory or in the files is ever followed.
 */
import { closeSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { TsbuildError } from '../errors.ts';
import { applyChanges } from '../layers/apply-changes.ts';
import { makeDirectories } from '../sys/make-directories.ts';
import { syncFileSystem } from '../sys/metadata.ts';
import { openDirectory } from '../sys/open.ts';
import { type ByteString, fromText } from '../tree/byte-string.ts';
import { makeAside } from './aside.ts';
import { exportFailure } from './export-failure.ts';
import { moveTree } from './move-tree.ts';
import type { Exporter, ExportSession, LocalOutput, PlatformTree } from './output.ts';
import { ownFiles } from './own-files.ts';
import { checkPrefix, filesOf } from './platform-split.ts';

const MODES = ['copy', 'delete'] as const;

export const localExporter: Exporter<LocalOutput> = {
  attributes: ['dest', 'mode', 'platform-split', 'attestation-prefix'],
  parse: (fields) => ({
    type: 'local',
    dest: fields.needed('dest'),
    mode: fields.choice('mode', MODES),
    platformSplit: fields.boolean('platform-split'),
    attestationPrefix: fields.text('attestation-prefix'),
  }),
  check({ dest, mode, attestationPrefix }) {
    checkPrefix(attestationPrefix);
    if (mode !== 'delete' || resolve(dest) !== '/') return;
    throw new TsbuildError('USAGE', 'Cannot write an output to / with mode=delete: that would remove everything of this machine');
  },
  async run(session, result, output) {
    const trees = await result.trees(output);
    try {
      await writeFiles(session, trees, output);
    } finally {
      for (const { tree } of trees) tree[Symbol.dispose]();
    }
    return undefined;
  },
};

/** When this rejects before the first file is in its place, the directory is what it was before. */
async function writeFiles(session: ExportSession, trees: readonly PlatformTree[], output: LocalOutput): Promise<void> {
  const { dest, mode = 'copy' } = output;
  let made: string | undefined;
  try {
    made = makeDirectories(dest);
    const fd = openDirectory(fromText(dest));
    try {
      await writeInto(fd, session, { trees, output, mode });
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (made !== undefined) rmSync(made, { recursive: true, force: true });
    throw exportFailure(error, dest);
  }
}

interface Work {
  readonly trees: readonly PlatformTree[];
  readonly output: LocalOutput;
  readonly mode: 'copy' | 'delete';
}

async function writeInto(dest: number, session: ExportSession, { trees, output, mode }: Work): Promise<void> {
  using aside = makeAside(dest, 'tsbuild' as ByteString, 'directory');
  const files = ownFiles(filesOf(trees, output.platformSplit), session.emit);
  await applyChanges(files, aside.fd, { signal: session.signal, losses: { emit: session.emit, of: 'the output' } });
  syncFileSystem(aside.fd);
  moveTree(aside.fd, dest, { mode, keep: aside.name });
}
