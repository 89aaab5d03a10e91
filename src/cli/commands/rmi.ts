import { removeImage } from '../../index.ts';
import { formatSize } from '../../text/quantities.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild rmi IMAGE...`: prints the names that are gone; stops at the first that cannot be removed. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  let freed = 0;
  for (const name of operands) {
    const { untagged, freedBytes } = await removeImage({ root: flags.root, signal: terminal.signal, name });
    freed += freedBytes;
    for (const gone of untagged) printResult(terminal, gone);
  }
  terminal.screen.stream.write(`freed ${formatSize(freed)}\n`);
  return 0;
}
