import { StringDecoder } from 'node:string_decoder';
import { buildLog, type StepLog } from '../../index.ts';
import { outputText, plainText } from '../../text/terminal-text.ts';
import type { Invocation } from '../command-table.ts';
import { printResult } from '../terminal.ts';

/** A line that is longer is shown as several. */
const LINE_MAX = 16_384;

/** `tsbuild builds logs [ID]`: what steps wrote, with a heading for each where there are several. Colours only on a terminal. */
export async function run({ operands, flags, terminal }: Invocation): Promise<number> {
  const logs = await buildLog({ root: flags.root, id: operands[0], step: flags.step });
  const colours = terminal.stdout.isTTY === true && (terminal.env['NO_COLOR'] ?? '') === '' ? 'keep' : 'drop';
  for (const [position, log] of logs.entries()) {
    if (flags.step === undefined) {
      if (position > 0) printResult(terminal, '');
      printResult(terminal, plainText(`#${log.number} ${log.step.id} ${log.step.text}`));
    }
    for await (const line of linesOf(log)) printResult(terminal, outputText(line, colours));
  }
  return 0;
}

async function* linesOf({ chunks }: StepLog): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8');
  let open = '';
  for await (const chunk of chunks()) {
    const lines = (open + decoder.write(chunk)).split('\n');
    open = lines.pop() ?? '';
    yield* lines;
    for (; open.length > LINE_MAX; open = open.slice(LINE_MAX)) yield open.slice(0, LINE_MAX);
  }
  open += decoder.end();
  if (open !== '') yield open;
}
