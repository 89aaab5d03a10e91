import { TsbuildError } from '../../errors.ts';
import { type BuildOptions, build } from '../../index.ts';
import type { Flags, Invocation } from '../command-table.ts';
import { keyValues } from '../key-values.ts';
import { printResult } from '../terminal.ts';
import { withProgress } from '../with-progress.ts';

/** `tsbuild [build] [flags] CONTEXT`: prints the digest of the image. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [context = ''] = operands;
  const chosen = { context, ...choices(flags, terminal.env) };
  const { digest } = await withProgress(terminal, flags, (options) => build({ ...chosen, ...options }));
  printResult(terminal, digest);
  return 0;
}

function choices(flags: Flags, env: Readonly<Record<string, string | undefined>>): Omit<BuildOptions, 'context'> {
  return {
    ...{ dockerfile: flags.file, tags: flags.tag ?? [], target: flags.target, addHosts: flags.addHost ?? [] },
    ...{ noCache: flags.cache === false, pull: flags.pull === true, push: flags.push === true },
    buildArgs: keyValues('--build-arg', flags.buildArg ?? [], env),
    labels: keyValues('--label', flags.label ?? []),
    jobs: jobsOf(flags.jobs),
    network: flags.network as BuildOptions['network'],
  };
}

function jobsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text)} as --jobs: not a number from 1 to 9999`);
}
