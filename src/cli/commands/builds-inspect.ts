import { type BuildRecord, inspectBuild, type RecordedStep } from '../../index.ts';
import { missText } from '../../text/miss-text.ts';
import { formatDuration, formatSize } from '../../text/quantities.ts';
import { plainJson, plainLines, plainText } from '../../text/terminal-text.ts';
import type { Invocation } from '../command-table.ts';
import { tableLines } from '../table.ts';
import { printResult } from '../terminal.ts';
import { buildName } from './builds-ls.ts';

const TEXT_MAX = 72;
const REASONS_MAX = 160;

/** `tsbuild builds inspect [ID]`: for people, or as JSON. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const record = await inspectBuild({ root: flags.root, id: operands[0] });
  if (flags.format === 'json') printResult(terminal, plainJson(record, 2));
  else for (const line of linesOf(record)) printResult(terminal, plainText(line));
  return 0;
}

function linesOf(record: BuildRecord): string[] {
  const { asked, madeBy, error } = record;
  const facts: [string, string | undefined][] = [
    ['Build:', record.id],
    ['Name:', buildName(record)],
    ['State:', record.isPinned ? `${record.state}, pinned` : record.state],
    ['Started:', record.startedAt],
    ['Time:', record.durationMs === undefined ? undefined : formatDuration(record.durationMs)],
    ['Context:', asked.context],
    ['Dockerfile:', record.dockerfile?.name ?? asked.dockerfile],
    ['Digest:', record.digest],
    ['Made by:', `tsbuild ${madeBy.tsbuild}, ${madeBy.platform}, Linux ${madeBy.kernel}, ${madeBy.cores} cores`],
  ];
  const known = facts.flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value]]));
  const steps = record.stages.flatMap((stage) => stage.steps);
  return [
    ...tableLines(known),
    ...(steps.length === 0 ? [] : ['', ...stepLines(steps)]),
    ...record.warnings.map(({ message }) => `Warning: ${message}`),
    ...(error === undefined
      ? []
      : ['', ...plainLines(error.excerpt ?? '').split('\n'), `${error.message}${error.code === undefined ? '' : ` [${error.code}]`}`]),
  ];
}

function stepLines(steps: readonly RecordedStep[]): string[] {
  const rows = steps.map((step, position) => [
    String(position + 1),
    step.id,
    outcomeOf(step),
    timeOf(step),
    sizeOf(step),
    short(step.text),
  ]);
  return tableLines([['#', 'STEP', 'OUTCOME', 'TIME', 'LAYER', 'INSTRUCTION'], ...rows]).flatMap((line, row) => {
    const reasons = steps[row - 1]?.reasons ?? [];
    return reasons.length === 0 ? [line] : [line, short(`   missed: ${missText(reasons)}`, REASONS_MAX)];
  });
}

function outcomeOf({ outcome, exitCode, startedMs }: RecordedStep): string {
  if (outcome === undefined) return startedMs === undefined ? '-' : 'unfinished';
  return exitCode === undefined ? outcome : `${outcome} (${exitCode})`;
}

function timeOf({ startedMs, endedMs, outcome }: RecordedStep): string {
  return startedMs === undefined || endedMs === undefined || outcome === 'cached' ? '' : formatDuration(endedMs - startedMs);
}

function sizeOf({ layers }: RecordedStep): string {
  return layers.length === 0 ? '' : formatSize(layers.reduce((sum, { size }) => sum + size, 0));
}

function short(text: string, most = TEXT_MAX): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
