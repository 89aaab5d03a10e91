import { TsbuildError } from '../../errors.ts';
import { type PruneResult, prune } from '../../index.ts';
import { formatSize } from '../../text/quantities.ts';
import { askOnTerminal } from '../ask.ts';
import type { Invocation } from '../command-table.ts';
import { filterOf } from '../prune-filter.ts';
import { sizeOf } from '../resource-flags.ts';
import { tableLines } from '../table.ts';
import { printResult, type Terminal } from '../terminal.ts';
import { oneLine, shortId } from '../usage-table.ts';

/** `tsbuild prune`: asks, and prints what is gone; or an object of JSON. */
export async function run({ flags, terminal }: Invocation): Promise<number> {
  const dryRun = flags.dryRun === true;
  const all = flags.all === true;
  const options = { all, filter: filterOf(flags), keepBytes: sizeOf('keep-storage', flags.keepStorage), dryRun };
  if (!dryRun && flags.force !== true && !(await isWanted(terminal, all))) return 0;
  const result = await prune({ root: flags.root, signal: terminal.signal, ...options });
  if (flags.format === 'json') printResult(terminal, JSON.stringify(result, undefined, 2));
  else print(terminal, result, dryRun);
  return 0;
}

const QUESTIONS = {
  some: 'This removes results of steps that no image has, cache mounts, downloads, and all else that nobody uses. Go on? [y/N] ',
  all: 'This removes the whole cache, with what images have, too; the images stay. Go on? [y/N] ',
};

/** Throws USAGE where there is nobody to ask. */
async function isWanted({ screen, signal }: Terminal, all: boolean): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new TsbuildError('USAGE', 'Cannot ask whether to prune: standard input is no terminal', {
      hint: 'Add --force, or --dry-run to see what would go.',
    });
  }
  const prompt = all ? QUESTIONS.all : QUESTIONS.some;
  return /^y(?:es)?$/i.test((await askOnTerminal(screen.stream, { prompt, echo: 'shown', signal })).trim());
}

function print(terminal: Terminal, { removed, freedBytes }: PruneResult, dryRun: boolean): void {
  const rows = removed.map(({ id, kind, bytes, description }) => [shortId(id), kind, formatSize(bytes), oneLine(description).slice(0, 70)]);
  if (rows.length > 0) for (const line of tableLines([['ID', 'TYPE', 'SIZE', 'DESCRIPTION'], ...rows])) printResult(terminal, line);
  printResult(terminal, `${dryRun ? 'Would free' : 'Total'}: ${formatSize(freedBytes)}`);
}
