import { pinBuilds } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild builds pin ID...`: prints the ids. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const keep = flags.undo === true ? ('as others' as const) : undefined;
  for (const id of await pinBuilds({ root: flags.root, ids: operands, keep })) printResult(terminal, id);
  return 0;
}
