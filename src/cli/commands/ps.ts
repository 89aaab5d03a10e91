import { type ContainerSummary, listContainers } from '../../index.ts';
import { formatAge } from '../../text/quantities.ts';
import { plainLines } from '../../text/terminal-text.ts';
import type { Invocation } from '../command-table.ts';
import { tableLines } from '../table.ts';
import { printResult } from '../terminal.ts';
import { portText } from './port.ts';

const HEADINGS = ['CONTAINER ID', 'IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'PORTS', 'NAMES'];
const COMMAND_LENGTH = 20;

/** `tsbuild ps`: a table, ids (`-q`), or an array of JSON. */
export async function run({ flags, terminal }: Invocation): Promise<number> {
  const containers = await listContainers({ root: flags.root, which: flags.all === true ? 'all' : 'running' });
  if (flags.format === 'json') printResult(terminal, JSON.stringify(containers, undefined, 2));
  else if (flags.quiet === true) for (const { id } of containers) printResult(terminal, id.slice(0, 12));
  else for (const line of tableLines([HEADINGS, ...containers.map(rowOf)])) printResult(terminal, line);
  return 0;
}

function rowOf(container: ContainerSummary): string[] {
  const { id, image, command, createdAt, ports, name } = container;
  const text = plainLines(command.join(' ')).replaceAll('\n', ' ');
  const shown = text.length > COMMAND_LENGTH ? `${text.slice(0, COMMAND_LENGTH - 1)}…` : text;
  return [id.slice(0, 12), image, JSON.stringify(shown), ageOf(createdAt), statusOf(container), ports.map(portText).join(', '), name];
}

function statusOf({ state, startedAt, endedAt, exitCode, createdAt }: ContainerSummary): string {
  switch (state) {
    case 'created':
      return 'Created';
    case 'running':
      return `Up since ${ageOf(startedAt ?? createdAt)}`;
    case 'exited':
      return `Exited (${exitCode ?? 0}) ${ageOf(endedAt ?? createdAt)}`;
    case 'lost':
      return `Lost (${exitCode ?? 137})`;
  }
}

function ageOf(time: string): string {
  const age = Date.now() - Date.parse(time);
  return Number.isNaN(age) ? '' : formatAge(age);
}
