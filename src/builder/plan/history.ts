/** The history entry of an instruction, worded as BuildKit words it, which tools that show images rely on. */
import type { ContainerConfig, HistoryEntry } from '../../oci/image-config.ts';
import type { AddInstruction, CommandLine, CopyInstruction, Pair } from '../../parser/instruction.ts';
import type { StageInstruction } from './build-plan.ts';
import { commandArgv } from './command-argv.ts';
import { exposedPorts } from './exposed-ports.ts';

export interface HistoryContext {
  /** After the instruction (`patchConfig`). */
  readonly config: ContainerConfig;
  /** ARGs of the stage that have a value, in the order of their declarations, this instruction's included. */
  readonly args: ReadonlyMap<string, string>;
  readonly layer: 'layer' | 'empty';
}

/** The entry without `created`, of an instruction whose words are expanded; undefined for ONBUILD, which has none. */
export function historyEntry(instruction: StageInstruction, context: HistoryContext): HistoryEntry | undefined {
  const created_by = createdBy(instruction, context);
  if (created_by === undefined) return undefined;
  return { created_by, comment: 'buildkit.dockerfile.v0', ...(context.layer === 'empty' ? { empty_layer: true } : {}) };
}

/** Such as `RUN |1 a=b /bin/sh -c make # buildkit`. */
export function createdBy(instruction: StageInstruction, { config, args }: Omit<HistoryContext, 'layer'>): string | undefined {
  switch (instruction.kind) {
    case 'run':
      return `RUN ${[...argPrefix(args), ...runWords(instruction.command, config)].join(' ')} # buildkit`;
    case 'copy':
    case 'add':
      return `${copyWords(instruction).join(' ')} # buildkit`;
    case 'workdir':
      return `WORKDIR ${config.WorkingDir ?? '/'}`;
    case 'arg':
      return `ARG ${instruction.declarations.map(({ key }) => assignment(key, args.get(key))).join(' ')}`;
    case 'env':
      return `ENV ${joinPairs(instruction.pairs)}`;
    case 'label':
      return `LABEL ${joinPairs(instruction.pairs)}`;
    case 'user':
      return `USER ${instruction.user}`;
    case 'cmd':
      return `CMD ${quoteList(commandArgv(instruction.command, config.Shell))}`;
    case 'entrypoint':
      return `ENTRYPOINT ${quoteList(commandArgv(instruction.command, config.Shell))}`;
    case 'shell':
      return `SHELL [${instruction.argv.join(' ')}]`;
    case 'expose':
      return `EXPOSE [${exposedPorts(instruction.ports).join(' ')}]`;
    case 'volume':
      return `VOLUME [${instruction.paths.join(' ')}]`;
    case 'stopsignal':
      return `STOPSIGNAL ${instruction.signal}`;
    case 'healthcheck':
      return instruction.check.type === 'none' ? 'HEALTHCHECK NONE' : `HEALTHCHECK CMD ${healthcheckWords(instruction.check.command)}`;
    case 'maintainer':
      return `MAINTAINER ${instruction.name}`;
    case 'onbuild':
      return undefined;
  }
}

function argPrefix(args: ReadonlyMap<string, string>): string[] {
  return args.size === 0 ? [] : [`|${args.size}`, ...[...args].map(([key, value]) => `${key}=${value}`)];
}

function runWords(command: Parameters<typeof commandArgv>[0], config: ContainerConfig): string[] {
  return command.form === 'file' ? [command.body] : commandArgv(command, config.Shell);
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

function healthcheckWords(command: CommandLine): string {
  return command.form === 'shell' ? command.script : quoteList(command.argv);
}

function assignment(key: string, value: string | undefined): string {
  return value === undefined ? key : `${key}=${value}`;
}

function joinPairs(pairs: readonly Pair[]): string {
  return pairs.map(({ key, value }) => `${key}=${value}`).join(' ');
}

/** `["a" "b"]`, without commas. */
function quoteList(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(' ')}]`;
}
