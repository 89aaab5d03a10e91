import { type DiskUsage, diskUsage, type UsageEntry } from '../../index.ts';
import { formatAge, formatSize } from '../../text/quantities.ts';
import type { Invocation } from '../command-table.ts';
import { filterOf } from '../prune-filter.ts';
import { tableLines } from '../table.ts';
import { printResult, type Terminal } from '../terminal.ts';
import { entryRow, HEADINGS, oneLine, shortId } from '../usage-table.ts';

/** `tsbuild du`: a table, a block for each entry (`--verbose`), or one object of JSON. */
export async function run({ flags, terminal }: Invocation): Promise<number> {
  const filter = filterOf(flags);
  const usage = await diskUsage({ root: flags.root, signal: terminal.signal, filter });
  if (flags.format === 'json') printResult(terminal, JSON.stringify(usage, undefined, 2));
  else {
    if (flags.verbose === true) for (const entry of usage.entries) printBlock(terminal, entry);
    else for (const line of tableLines([HEADINGS, ...usage.entries.map(entryRow)])) printResult(terminal, line);
    printSums(terminal, usage);
  }
  return 0;
}

function printBlock(terminal: Terminal, entry: UsageEntry): void {
  const age = (at: number | undefined): string => (at === undefined ? '' : formatAge(Date.now() - at));
  const rows = [
    ...[
      ['ID:', entry.id],
      ['Type:', entry.kind],
      ['Description:', oneLine(entry.description)],
      ['Size:', formatSize(entry.bytes)],
    ],
    ...[
      ['Created:', age(entry.createdAt)],
      ['Last used:', age(entry.usedAt)],
    ],
    ...[['Used by:', entry.usedBy.map((user) => user.replace(/[a-f0-9]{64}/, shortId)).join(', ')]],
    ...[
      ['Shared:', String(entry.shared)],
      ['Reclaimable:', String(entry.reclaimable)],
    ],
  ];
  for (const line of tableLines(rows)) printResult(terminal, line);
  printResult(terminal, '');
}

function printSums(terminal: Terminal, { totalBytes, reclaimableBytes, sharedBytes }: DiskUsage): void {
  const rows = [
    ['Shared:', formatSize(sharedBytes)],
    ['Reclaimable:', formatSize(reclaimableBytes)],
    ['Total:', formatSize(totalBytes)],
  ];
  for (const line of tableLines(rows)) printResult(terminal, line);
}
