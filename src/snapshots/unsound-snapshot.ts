/** Files of a snapshot that somebody else has written to: a disk, a copy of the state directory, a program. */
import { TsbuildError } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { SnapshotInfo, SnapshotPurpose } from './snapshot-info.ts';
import type { Snapshotter } from './snapshotter.ts';

/** Nobody finds the snapshot any more when this is thrown: whoever looks for it again makes it again. */
export class UnsoundSnapshot extends TsbuildError {
  /** For a warning: which files, and what is wrong. */
  readonly finding: string;

  constructor({ name, purpose }: Pick<SnapshotInfo, 'name' | 'purpose'>) {
    const files = `${purpose === undefined ? '' : `${WHAT[purpose.kind]} ${purpose.text}, `}snapshot ${name.slice(0, 12)}`;
    super('STORE_INVALID', `Cannot use the files of ${files}: they have changed on the disk since they were made`, {
      hint: 'They have been taken out of the cache: the next build makes them again.',
    });
    this.finding = `The disk has changed files of ${files}`;
  }
}

const WHAT: Readonly<Record<SnapshotPurpose['kind'], string>> = {
  step: 'the step',
  'image-layer': 'the image layer',
  'git-checkout': 'the checkout of',
  'context-copy': 'the copy of',
};

/** Whether the snapshot is there with all that it stands on, and as it was made; where the disk has changed it, a warning says so. */
export async function isSound(
  { snapshots, emit }: { readonly snapshots: Snapshotter; readonly emit: Emit },
  name: string,
): Promise<boolean> {
  if (!snapshots.isWhole(name)) return false;
  try {
    await snapshots.check(name);
    return true;
  } catch (error) {
    if (!(error instanceof UnsoundSnapshot)) throw error;
    emit({ kind: 'warning', message: `${error.finding}: they are made again` });
    return false;
  }
}
