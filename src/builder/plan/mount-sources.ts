/** What the mounts of a RUN read from, as far as planning is concerned: names only. */
import { TsbuildError } from '../../errors.ts';
import type { RunInstruction, Word } from '../../parser/instruction.ts';
import { splitMountFields } from '../../parser/mount-fields.ts';

type Mounts = Pick<RunInstruction, 'mounts'>;

/** One entry per mount: the name of a stage, image or context, or undefined where it has none. `expand` expands its variables. */
export function mountSources({ mounts }: Mounts, expand: (word: Word) => string): (string | undefined)[] {
  return mounts.map((mount) => {
    const from = splitMountFields(mount).findLast(([key]) => key.toLowerCase() === 'from')?.[1];
    if (from === undefined) return undefined;
    const name = expand(from);
    if (name !== '') return name;
    throw new TsbuildError('EXPANSION', `Cannot use ${from.slice(0, 200)} as the source of a mount: it is empty after expansion`);
  });
}

/** The names that need no expansion. */
export function mountSourceNames(instruction: Mounts): string[] {
  return mountSources(instruction, (word) => word).flatMap((name) => (name === undefined || name.includes('$') ? [] : name));
}
