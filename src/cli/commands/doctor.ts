import { examineMachine, type Finding } from '../../index.ts';
import { plainJson, plainText } from '../../text/terminal-text.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** `tsbuild doctor`: a table by groups with what to do, or JSON; 1 where no build can run. */
export async function run({ flags, terminal }: Invocation): Promise<number> {
  const examination = await examineMachine({ root: flags.root });
  const { ready, findings, user } = examination;
  const verdict = ready ? `Builds can run as ${user}.` : `Builds with RUN cannot run as ${user}: see what is missing.`;
  if (flags.format === 'json') printResult(terminal, plainJson(examination, 2));
  else printResult(terminal, [...tableOf(findings), plainText(verdict)].join('\n'));
  return ready ? 0 : 1;
}

function tableOf(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ title }) => title.length));
  const groups = [...new Set(findings.map(({ group }) => group))];
  return groups.flatMap((group) => [
    group.toUpperCase(),
    ...findings.filter((finding) => finding.group === group).flatMap((finding) => linesOf(finding, width)),
    '',
  ]);
}

function linesOf({ state, title, found, means, fix }: Finding, width: number): string[] {
  const indent = ' '.repeat(width + 13);
  return [
    `  ${state.padEnd(9)}${title.padEnd(width)}  ${plainText(found)}`,
    ...(means === undefined ? [] : [`${indent}so: ${plainText(means)}`]),
    ...(fix === undefined ? [] : [`${indent}do: ${plainText(fix)}`]),
  ];
}
