import { TsbuildError } from '../../errors.ts';
import { saveImage } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';
import { withProgress } from '../with-progress.ts';

/** `tsbuild save IMAGE -o FILE` prints the digest; without -o, standard output carries the archive and nothing else. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = ''] = operands;
  if (flags.output === undefined && terminal.stdout.isTTY) {
    throw new TsbuildError('USAGE', 'Cannot write an archive to a terminal', { hint: 'Name a file with -o, or redirect standard output.' });
  }
  const output = typeof flags.output === 'string' ? flags.output : terminal.stdout;
  const { digest } = await withProgress(terminal, flags, (options) => saveImage({ ...options, name, output }));
  if (flags.output !== undefined) printResult(terminal, digest);
  return 0;
}
