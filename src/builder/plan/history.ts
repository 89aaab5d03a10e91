/** The history entry of an instruction, worded as BuildKit words it, which tools that show images rely on. */
import type { ContainerConfig, HistoryEntry } from '../../oci/image-config.ts';
import type { AddInstruction, CopyInstruction, HealthcheckInstruction, Pair } from '../../parser/instruction.ts';
import type { StageInstruction } from './build-plan.ts';
import { commandArgv } from './command-argv.ts';
import { healthcheckTest } from './config-patch.ts';
import { exposedPorts } from './exposed-ports.ts';
import { goDuration, goQuoteList, goQuoteRune } from './go-format.ts';

export interface HistoryContext {
  /** After the instruction (`patchConfig`). */
  readonly config: ContainerConfig;
  /** ARGs of the stage with their present values, '' for one that has none, in the order of their first declarations. */
  readonly args: ReadonlyMap<string, string>;
  readonly layer: 'layer' | 'empty';
}

/** The entry without `created`, of an instruction whose words are expanded (an ARG's values resolved); undefined for ONBUILD, which has none. */
export function historyEntry(instruction: StageInstruction, context: HistoryContext): HistoryEntry | undefined {
  const created_by = createdBy(instruction, context);
  if (created_by === undefined) return undefined;
  return { created_by, comment: 'buildkit.dockerfile.v0', ...(context.layer === 'empty' ? { empty_layer: true } : {}) };
}

/** Such as `RUN |1 a=b /bin/sh -c make # buildkit`. */
export function createdBy(instruction: StageInstruction, { config, args }: Omit<HistoryContext, 'layer'>): string | undefined {
  switch (instruction.kind) {
    case 'run':
      return `RUN ${[...argPrefix(args), ...commandArgv(instruction.command, config.Shell)].join(' ')} # buildkit`;
    case 'copy':
    case 'add':
      return `${copyWords(instruction).join(' ')} # buildkit`;
    case 'workdir':
      return `WORKDIR ${config.WorkingDir ?? '/'}`;
    case 'arg':
      return `ARG ${instruction.declarations.map(({ key, value }) => assignment(key, value)).join(' ')}`;
    case 'env':
      return `ENV ${joinPairs(instruction.pairs)}`;
    case 'label':
      return `LABEL ${joinPairs(instruction.pairs)}`;
    case 'user':
      return `USER ${instruction.user}`;
    case 'cmd':
      return `CMD ${goQuoteList(commandArgv(instruction.command, config.Shell))}`;
    case 'entrypoint':
      return `ENTRYPOINT ${goQuoteList(commandArgv(instruction.command, config.Shell))}`;
    case 'shell':
      return `SHELL [${instruction.argv.join(' ')}]`;
    case 'expose':
      return `EXPOSE [${exposedPorts(instruction.ports).join(' ')}]`;
    case 'volume':
      return `VOLUME [${instruction.paths.join(' ')}]`;
    case 'stopsignal':
      return `STOPSIGNAL ${instruction.signal}`;
    case 'healthcheck':
      return `HEALTHCHECK ${healthcheckFields(instruction)}`;
    case 'maintainer':
      return `MAINTAINER ${instruction.name}`;
    case 'onbuild':
      return undefined;
  }
}

function argPrefix(args: ReadonlyMap<string, string>): string[] {
  return args.size === 0 ? [] : [`|${args.size}`, ...[...args].map(([key, value]) => `${key}=${value}`)];
}

/** Flags that say where from are left out, as the peers do. */
function copyWords(instruction: CopyInstruction | AddInstruction): string[] {
  const { kind, chown, chmod, sources, destination } = instruction;
  return [
    kind.toUpperCase(),
    ...(kind === 'copy' && instruction.parents ? ['--parents'] : []),
    ...((chown ?? '') === '' ? [] : [`--chown=${chown}`]),
    ...((chmod ?? '') === '' ? [] : [`--chmod=${chmod}`]),
    ...sources.map((source) => (source.kind === 'path' ? source.path : `<<${source.heredoc.name}`)),
    destination,
  ];
}

/** The fields of BuildKit's own data structure. */
function healthcheckFields({ check }: HealthcheckInstruction): string {
  const { intervalNs, timeoutNs, startPeriodNs, startIntervalNs, retries } = check.type === 'none' ? NO_CHECK : check;
  const durations = [intervalNs, timeoutNs, startPeriodNs, startIntervalNs].map((duration) => `"${goDuration(duration)}"`);
  return `&{${[goQuoteList(healthcheckTest(check)), ...durations, goQuoteRune(retries)].join(' ')}}`;
}

const NO_CHECK = { intervalNs: 0, timeoutNs: 0, startPeriodNs: 0, startIntervalNs: 0, retries: 0 } as const;

function assignment(key: string, value: string | undefined): string {
  return value === undefined ? key : `${key}=${value}`;
}

function joinPairs(pairs: readonly Pair[]): string {
  return pairs.map(({ key, value }) => `${key}=${value}`).join(' ');
}
