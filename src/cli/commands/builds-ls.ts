import { basename } from 'node:path';
import { type BuildSummary, listBuilds } from '../../index.ts';
import { formatAge, formatDuration } from '../../text/quantities.ts';
import { plainJson, plainText } from '../../text/terminal-text.ts';
import type { Invocation } from '../command-table.ts';
import { tableLines } from '../table.ts';
import { printResult } from '../terminal.ts';

const HEADINGS = ['ID', 'NAME', 'STATE', 'CACHED', 'TIME', 'STARTED'];

/** `tsbuild builds ls`: a table, ids (`-q`), or an array of JSON. */
export async function run({ flags, terminal }: Invocation): Promise<number> {
  const builds = await listBuilds({ root: flags.root });
  if (flags.format === 'json') printResult(terminal, plainJson(builds, 2));
  else if (flags.quiet === true) for (const { id } of builds) printResult(terminal, id);
  else for (const line of tableLines([HEADINGS, ...builds.map(rowOf)])) printResult(terminal, plainText(line));
  return 0;
}

function rowOf(build: BuildSummary): string[] {
  const { id, state, isPinned, steps, durationMs, startedAt } = build;
  const age = Date.now() - Date.parse(startedAt);
  return [
    ...[id, buildName(build), isPinned ? `${state}, pinned` : state],
    steps === undefined ? '' : `${steps.cached}/${steps.cached + steps.made}`,
    ...[durationMs === undefined ? '' : formatDuration(durationMs), Number.isNaN(age) ? '' : formatAge(age)],
  ];
}

/** Its first tag, else the directory that was built. */
export function buildName({ asked }: BuildSummary): string {
  const target = asked.target === undefined ? '' : ` (${asked.target})`;
  return `${asked.tags[0] ?? (basename(asked.context) || asked.context)}${target}`;
}
