import { type ContextFile, type ContextListing, type IgnoreLine, listContext } from '../../index.ts';
import { formatSize } from '../../text/quantities.ts';
import { plainJson, plainText } from '../../text/terminal-text.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';
import { textFlag } from '../text-flag.ts';

/** As many of the biggest files as fit a screen with the totals. */
const BIGGEST_MAX = 20;

/** `tsbuild context DIR`: the biggest files (`--all`: every file), totals, and what each line of the ignore file does. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const [context = ''] = operands;
  const shown: ContextFile[] = [];
  const onFile = (file: ContextFile): void => {
    if (flags.all !== true) keepBiggest(shown, file);
    else if (flags.format === 'json') shown.push(file);
    else printResult(terminal, rowOf(file));
  };
  const listing = await listContext({ context, dockerfile: textFlag(flags.file), signal: terminal.signal, onFile });
  if (flags.format === 'json') printResult(terminal, plainJson({ ...listing, shown }, 2));
  else printResult(terminal, [...shown.map(rowOf), ...summary(listing, shown)].join('\n'));
  return 0;
}

/** Biggest first; no more than are shown are ever kept. */
function keepBiggest(biggest: ContextFile[], file: ContextFile): void {
  const last = biggest.at(-1);
  if (biggest.length === BIGGEST_MAX && last !== undefined && last.size >= file.size) return;
  const at = biggest.findIndex(({ size }) => size < file.size);
  biggest.splice(at === -1 ? biggest.length : at, 0, file);
  if (biggest.length > BIGGEST_MAX) biggest.pop();
}

function rowOf({ path, size }: ContextFile): string {
  return `${formatSize(size).padStart(10)}  ${plainText(path)}`;
}

function summary({ files, bytes, ignoreFile, lines }: ContextListing, shown: readonly ContextFile[]): string[] {
  const more =
    shown.length === 0 || files === shown.length ? [] : [`${' '.repeat(12)}and ${files - shown.length} smaller files (--all lists them)`];
  const total = `The context holds ${amountOf(files, bytes)}.`;
  if (ignoreFile === undefined) return [...more, '', total, 'There is no ignore file.'];
  return [...more, '', total, '', `${plainText(ignoreFile)}:`, ...lines.map(lineText)];
}

function lineText({ line, text, action, files, bytes }: IgnoreLine): string {
  const effect = files === 0 ? 'nothing' : amountOf(files, bytes);
  return `  line ${line}: ${plainText(text)}  ${action === 'ignore' ? 'keeps out' : 'takes back'} ${effect}`;
}

function amountOf(files: number, bytes: number): string {
  return `${files} ${files === 1 ? 'file' : 'files'}, ${formatSize(bytes)}`;
}
