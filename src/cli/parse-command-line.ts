/** argv → the command to run. commander knows the grammar; its complaints become USAGE errors. */
import { Command, CommanderError, Option } from 'commander';
import { TsbuildError } from '../errors.ts';
import { COMMANDS, type CommandSpec, type FlagSpec, type Flags, GROUPS } from './command-table.ts';
import { withShorthandValues } from './shorthand-values.ts';

export interface ParsedCommand {
  readonly spec: CommandSpec;
  readonly operands: readonly string[];
  readonly flags: Flags;
}

/** `help` is text that the user asked for. Throws USAGE, with the usage line as its hint. */
export function parseCommandLine(argv: readonly string[], version: string): ParsedCommand | { readonly help: string } {
  let parsed: ParsedCommand | undefined;
  let help = '';
  const program = openProgram(version, argv, (command) => {
    parsed = command;
  });
  program.configureOutput({
    writeOut: (text) => {
      help += text;
    },
    writeErr: () => {},
    outputError: () => {},
  });
  for (const command of program.commands.flatMap((each) => [each, ...each.commands])) command.copyInheritedSettings(program);
  try {
    program.parse(withShorthandValues(argv, isRest), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // A group of commands alone.
    if (error.code === 'commander.help') throw usageError('Missing command', usageOf(program, argv));
    if (error.exitCode !== 0) throw usageError(error.message, usageOf(program, argv));
  }
  return parsed ?? { help };
}

/** From here on, words may be the command's that is run. */
function isRest(word: string): boolean {
  return COMMANDS.some(({ name, flagsEnd }) => name === word && flagsEnd !== undefined);
}

/** `usage` is the line to show; it comes as the hint. */
export function usageError(message: string, usage: string | undefined): TsbuildError {
  const text = message.replace(/^error: |\.$/g, '').replace(/\n\(Did you mean (.*)\?\)$/, ' (did you mean $1?)');
  return new TsbuildError('USAGE', text.charAt(0).toUpperCase() + text.slice(1), { hint: usage });
}

/** Flags are made for the commands that may be meant alone: making those of all takes longer than to parse. */
function openProgram(version: string, argv: readonly string[], onCommand: (command: ParsedCommand) => void): Command {
  const isHelp = argv.some((word) => word === '--help' || word === '-h' || word === 'help');
  const isMeant = ({ name }: CommandSpec): boolean => isHelp || name === 'build' || name.split(' ').every((word) => argv.includes(word));
  const program = new Command('tsbuild')
    .description('docker build without Docker: from a Dockerfile to an OCI image, every RUN in a fresh container')
    .usage('[command] [flags] ...')
    .version(version, '-V, --version', 'show the version')
    .addOption(new Option('--root <dir>', 'state directory (TSBUILD_ROOT)'))
    .enablePositionalOptions()
    .exitOverride()
    .addHelpText('after', '\ntsbuild -t app:1 . builds the Dockerfile of this directory. tsbuild <command> --help says more.');
  for (const spec of COMMANDS) addCommand(program, isMeant(spec) ? spec : { ...spec, flags: [] }, onCommand);
  return program;
}

function addCommand(program: Command, spec: CommandSpec, onCommand: (command: ParsedCommand) => void): void {
  const [last = '', group] = spec.name.split(' ').reverse();
  const parent = group === undefined ? program : groupOf(program, group);
  const command = parent.command(last, { isDefault: spec.name === 'build' }).description(spec.summary);
  if (spec.operands !== '') command.arguments(spec.operands);
  if (spec.flagsEnd === 'first-operand') command.passThroughOptions();
  for (const flag of spec.flags) command.addOption(optionOf(flag));
  command.allowExcessArguments(false).action(() => {
    onCommand({ spec, operands: command.args, flags: { ...program.opts<Flags>(), ...command.opts<Flags>() } });
  });
}

/** The command that has others below it. */
function groupOf(program: Command, name: string): Command {
  const found = program.commands.find((command) => command.name() === name);
  return (
    found ??
    program
      .command(name)
      .description(GROUPS[name] ?? '')
      .usage('<command> ...')
  );
}

function optionOf(flag: FlagSpec): Option {
  const option = new Option(flag.flags, flag.description);
  // commander takes every --no-NAME for the opposite of --NAME.
  if (option.required) option.negate = false;
  if (flag.choices !== undefined) option.choices([...flag.choices]);
  if (flag.kind === 'repeatable') option.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
  return flag.kind === 'hidden' ? option.hideHelp() : option;
}

/** The usage line of the command that was meant, as far as that can be told. */
function usageOf(program: Command, argv: readonly string[]): string {
  const words = argv.filter((word) => !word.startsWith('-'));
  const named = program.commands.find((command) => command.name() === words[0]);
  const command = named ?? program.commands.find((candidate) => candidate.name() === 'build') ?? program;
  const inner = named?.commands.find((candidate) => candidate.name() === words[1]);
  const name = [command.name(), ...(inner === undefined ? [] : [inner.name()])].join(' ');
  return `Usage: tsbuild ${name} ${(inner ?? command).usage()}; tsbuild ${name} --help says more.`;
}
