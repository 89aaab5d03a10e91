/** `RUN [--mount=...] [--network=...] command`, in shell, exec and heredoc form. */
import { TsbuildError } from '../errors.ts';
import { parseDevice } from './device.ts';
import { readFlags } from './flags.ts';
import { heredocContent, joinSpacedMarkers, parseMarker } from './heredoc.ts';
import type { Heredoc, RunCommand, RunInstruction } from './instruction.ts';
import { locate } from './location.ts';
import { checkMount } from './mount.ts';
import { parseCommandLine } from './parse-command.ts';
import { baseOf, type RawInstruction, syntaxError } from './raw-instruction.ts';
import { didYouMean } from './suggest.ts';
import { splitBlanks } from './words.ts';

const FLAGS = { mount: 'list', network: 'string', security: 'string', device: 'list' } as const;
const NETWORKS = ['default', 'none', 'host'] as const;
const SECURITIES = ['sandbox', 'insecure'] as const;

export function parseRun(raw: RawInstruction): RunInstruction {
  const flags = readFlags(raw, FLAGS);
  checkEach(raw, 'mount', flags.mount, checkMount);
  checkEach(raw, 'device', flags.device, parseDevice);
  needOneOf(raw, { name: 'network', value: flags.network, allowed: NETWORKS });
  needOneOf(raw, { name: 'security', value: flags.security, allowed: SECURITIES });
  return {
    kind: 'run',
    ...baseOf(raw),
    command: parseRunCommand(raw),
    heredocs: raw.heredocs,
    mounts: flags.mount,
    network: flags.network,
    security: flags.security,
    devices: flags.device,
  };
}

function checkEach(raw: RawInstruction, name: 'mount' | 'device', values: readonly string[], check: (value: string) => unknown): void {
  try {
    for (const value of values) check(value);
  } catch (error) {
    throw error instanceof TsbuildError ? error.at(locate(raw.source, raw, { kind: 'flag', name })) : error;
  }
}

/**
 * A heredoc alone is the script itself (or, with `#!`, the program); with anything beside it the shell gets the
 * text and the bodies and reads the heredocs itself.
 */
function parseRunCommand(raw: RawInstruction): RunCommand {
  const [sole] = raw.heredocs;
  if (sole !== undefined && raw.heredocs.length === 1 && isMarkerAlone(raw.rest)) return soleHeredoc(sole);
  const command = parseCommandLine(raw, raw.rest);
  if (command.form === 'exec') {
    if (command.argv.length === 0) throw syntaxError(raw, 'RUN takes a command, not an empty array');
    return command;
  }
  const bodies = raw.heredocs.map(({ body, name }) => `\n${body}${name}`);
  return { form: 'shell', script: command.script + bodies.join('') };
}

function isMarkerAlone(rest: string): boolean {
  const words = rest.length > 1000 ? [] : joinSpacedMarkers(splitBlanks(rest));
  return parseMarker(rest) !== undefined || (words.length === 1 && parseMarker(words[0] ?? '') !== undefined);
}

function soleHeredoc(heredoc: Heredoc): RunCommand {
  const content = heredocContent(heredoc);
  // As written: behind tabs that `<<-` takes away, BuildKit does not look for it.
  return heredoc.body.startsWith('#!') ? { form: 'file', name: heredoc.name, body: content } : { form: 'shell', script: content };
}

interface Choice {
  readonly name: string;
  readonly value: string | undefined;
  readonly allowed: readonly string[];
}

function needOneOf(raw: RawInstruction, { name, value, allowed }: Choice): void {
  if (value === undefined || allowed.includes(value)) return;
  const guess = didYouMean(value, allowed);
  throw syntaxError(
    raw,
    `Cannot use ${JSON.stringify(value.slice(0, 80))} as the value of --${name}: not one of ${allowed.join(', ')}${guess}`,
    {
      part: { kind: 'flag', name },
    },
  );
}
