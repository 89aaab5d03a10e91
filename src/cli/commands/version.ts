import { readVersion } from '../../read-version.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

export async function run({ terminal }: Invocation): Promise<number> {
  printResult(terminal, `tsbuild ${readVersion()} (Node ${process.versions.node}, ${process.platform} ${process.arch})`);
  return 0;
}
