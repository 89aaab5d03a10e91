import { TsbuildError } from '../../errors.ts';
import { removeBuilds } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild builds rm ID...` or `--all`: prints the ids that are gone. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  if ((operands.length === 0) === (flags.all !== true)) {
    throw new TsbuildError('USAGE', 'Cannot tell which builds to forget: give ids, or --all');
  }
  const { root } = flags;
  const gone = await removeBuilds(flags.all === true ? { root, all: true } : { root, ids: operands });
  for (const id of gone) printResult(terminal, id);
  return 0;
}
