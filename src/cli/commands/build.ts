import { TsbuildError } from '../../errors.ts';
import { type BuildOptions, build, openUpkeep, type Upkeep, writesToStdout } from '../../index.ts';
import { formatSize } from '../../text/quantities.ts';
import { annotationsOf } from '../annotation-flag.ts';
import { attestationsOf, metadataProvenance } from '../attestation-flags.ts';
import { readBuildArgFile } from '../build-arg-file.ts';
import { cachesOf } from '../cache-flags.ts';
import { answer, callOf } from '../call.ts';
import type { Flags, Invocation } from '../command-table.ts';
import { dnsOf } from '../dns-flags.ts';
import { durationOf } from '../duration-flag.ts';
import { entitlementOf } from '../entitlement.ts';
import { signingKeyOf } from '../key-flag.ts';
import { keyValues } from '../key-values.ts';
import { outputsOf } from '../output-flag.ts';
import { limitsOf } from '../resource-flags.ts';
import { resultFiles } from '../result-files.ts';
import { secretsOf } from '../secret-flag.ts';
import { sshOf } from '../ssh-flag.ts';
import { printResult, type Terminal } from '../terminal.ts';
import { textFlag } from '../text-flag.ts';
import { withProgress } from '../with-progress.ts';

/** `tsbuild [build] [flags] CONTEXT`: prints the digest of the image, or what `--call` asks for. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [context = ''] = operands;
  const chosen = { context, ...choices(flags, terminal.env) };
  const call = callOf(flags);
  if (call.method !== 'build') {
    const { dockerfile, target, buildArgs, contexts } = chosen;
    return await answer(terminal, call, { context, dockerfile, target, buildArgs, contexts, root: flags.root, signal: terminal.signal });
  }
  const outputs = outputsOf(flags, terminal);
  const files = resultFiles(flags, outputs);
  const upkeep = openUpkeep({ root: flags.root, signal: terminal.signal });
  const { digest } = await withProgress(terminal, flags, async (options) => {
    const { onEvent } = options;
    const result = await build({ ...chosen, ...options, outputs, onEvent: files.watch(onEvent), stdout: terminal.stdout });
    await files.write(result, terminal.env);
    return result;
  });
  if (digest !== undefined && !outputs.some(writesToStdout)) printResult(terminal, digest);
  await collect(upkeep, flags, terminal);
  return 0;
}

/** The build is good whatever becomes of this. */
async function collect(upkeep: Upkeep, flags: Flags, { screen, signal }: Terminal): Promise<void> {
  try {
    const done = await upkeep.run();
    if (done === undefined || done.removed.length === 0 || flags.quiet === true) return;
    screen.stream.write(`removed ${done.removed.length} unused things from the cache (${formatSize(done.freedBytes)})\n`);
  } catch (error) {
    if (!signal.aborted) screen.stream.write(`warning: Cannot keep the cache small: ${error instanceof Error ? error.message : error}\n`);
  }
}

function choices(flags: Flags, env: Readonly<Record<string, string | undefined>>): Omit<BuildOptions, 'context'> {
  return {
    ...{ dockerfile: textFlag(flags.file), tags: flags.tag ?? [], target: flags.target, addHosts: flags.addHost ?? [] },
    ...{
      noCache: flags.cache === false,
      explain: flags.explain === true,
      noCacheFilter: (flags.noCacheFilter ?? []).flatMap((list) => list.split(',')).filter((name) => name !== ''),
      pull: flags.pull === true,
      push: flags.push === true,
      load: flags.load === true,
    },
    ...cachesOf(flags, env),
    platforms: [flags.platform ?? []].flat().flatMap((list) => list.split(',')),
    buildArgs: buildArgs(flags, env),
    contexts: keyValues('--build-context', flags.buildContext ?? []),
    labels: keyValues('--label', flags.label ?? []),
    annotations: annotationsOf(flags.annotation ?? []),
    attestations: attestationsOf(flags),
    signBy: flags.signBy === undefined ? undefined : signingKeyOf('--sign-by', flags.signBy, env),
    provenance: flags.metadataFile === undefined ? undefined : metadataProvenance(env),
    allow: (flags.allow ?? []).map(entitlementOf),
    ssh: sshOf(flags.ssh ?? [], env),
    secrets: secretsOf(flags.secret ?? [], env),
    jobs: jobsOf(flags.jobs),
    ...{ timeoutMs: durationOf('timeout', flags.timeout), stepTimeoutMs: durationOf('step-timeout', flags.stepTimeout) },
    ...{ limits: limitsOf(flags), dns: dnsOf(flags) },
    ...{ snapshotter: flags.snapshotter, isolation: flags.isolation, userns: flags.userns },
    network: flags.network as BuildOptions['network'],
  };
}

/** Those of files first, so that the flags win; before them the variable that docker passes on by itself. */
function buildArgs({ buildArg = [], buildArgFile = [] }: Flags, env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const epoch = env['SOURCE_DATE_EPOCH'] === undefined ? [] : [`SOURCE_DATE_EPOCH=${env['SOURCE_DATE_EPOCH']}`];
  return keyValues('--build-arg', [...epoch, ...buildArgFile.flatMap((file) => readBuildArgFile(file)), ...buildArg], env);
}

function jobsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new TsbuildError('USAGE', `Cannot use ${JSON.stringify(text)} as --jobs: not a number from 1 to 9999`);
}
