import { logOut } from '../../index.ts';
import { plainText } from '../../text/terminal-text.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild logout [REGISTRY]`: to have been logged out before is no error. */
export async function run({ operands, terminal }: Invocation): Promise<number> {
  const { registry, outcome, file } = await logOut({ registry: operands[0] });
  const text = outcome === 'removed' ? `Logged out of ${registry}` : `Not logged in to ${registry}: ${file} has nothing for it`;
  printResult(terminal, plainText(text));
  return 0;
}
