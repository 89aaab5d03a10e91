import { pullImage } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';
import { withProgress } from '../with-progress.ts';

/** `tsbuild pull IMAGE`: prints the digest of the manifest or index. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = ''] = operands;
  const { digest } = await withProgress(terminal, flags, (options) =>
    pullImage({ ...options, name, platform: flags.platform === undefined ? undefined : String(flags.platform) }),
  );
  printResult(terminal, digest);
  return 0;
}
