/** Answers of `--call` as people read them. */
import { formatExcerpt } from '../excerpt.ts';
import type { CheckResult, LintWarning, OutlineMount, outlineDockerfile, Target } from '../index.ts';
import { plainText } from '../text/terminal-text.ts';

export function checkText({ source, warnings }: CheckResult): string {
  if (warnings.length === 0) return 'Check complete: nothing found.';
  const count = warnings.length === 1 ? '1 warning' : `${warnings.length} warnings`;
  return [`Check complete: ${count}.`, ...warnings.map((warning) => warningText(source, warning))].join('\n\n');
}

export function outlineText({ name, description, args, secrets, ssh }: Awaited<ReturnType<typeof outlineDockerfile>>): string {
  const tables = [
    name === undefined ? [] : [`TARGET: ${name}`, ...(description === '' ? [] : [`DESCRIPTION: ${plainText(description)}`])],
    args.length === 0
      ? []
      : table(
          ['BUILD ARG', 'VALUE', 'DESCRIPTION'],
          args.map((arg) => [arg.name, arg.value ?? '', arg.description]),
        ),
    mountTable('SECRET', secrets),
    mountTable('SSH', ssh),
  ];
  return tables
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

export function targetsText(targets: readonly Target[]): string {
  const rows = targets.map(({ name, description, isDefault }) => [
    [name, isDefault ? '(default)' : undefined].filter((part) => part !== undefined).join(' '),
    description,
  ]);
  return table(['TARGET', 'DESCRIPTION'], rows).join('\n');
}

function warningText({ file, text }: CheckResult['source'], { rule, url, detail, range }: LintWarning): string {
  return [`WARNING: ${rule} - ${url}`, plainText(detail), formatExcerpt({ file, text, range })].join('\n');
}

function mountTable(heading: string, mounts: readonly OutlineMount[]): string[] {
  if (mounts.length === 0) return [];
  return table(
    [heading, 'REQUIRED'],
    mounts.map(({ name, required }) => [name, required ? 'true' : '']),
  );
}

/** Columns as wide as their widest cell; no blanks at the ends of lines. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [head, ...rows].map((row) => row.map(plainText));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd((widths[column] ?? 0) + 3))
      .join('')
      .trimEnd(),
  );
}
