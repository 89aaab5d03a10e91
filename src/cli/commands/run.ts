import { constants } from 'node:os';
import { type RunOptions, runImage } from '../../index.ts';
import type { Invocation } from '../command-table.ts';
import { keyValues } from '../key-values.ts';
import { limitsOf } from '../resource-flags.ts';

/** `tsbuild run IMAGE [COMMAND...]`: its output is the output, its exit code the exit code (128+n for a signal). */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [name = '', ...argv] = operands;
  const env = Object.entries(keyValues('--env', flags.env ?? [], terminal.env)).map(([key, value]) => `${key}=${value}`);
  const end = await runImage({
    ...{ root: flags.root, signal: terminal.signal, name, env, limits: limitsOf(flags) },
    ...(argv.length === 0 ? {} : { argv }),
    ...(flags.user === undefined ? {} : { user: flags.user }),
    ...(flags.workdir === undefined ? {} : { workdir: flags.workdir }),
    ...(flags.entrypoint === undefined ? {} : { entrypoint: flags.entrypoint }),
    ...(flags.network === undefined ? {} : { network: flags.network as NonNullable<RunOptions['network']> }),
    onOutput(stream, data) {
      (stream === 'stdout' ? terminal.stdout : terminal.screen.stream).write(data);
    },
  });
  return end.exitCode ?? 128 + (constants.signals[end.signal as NodeJS.Signals] ?? 0);
}
