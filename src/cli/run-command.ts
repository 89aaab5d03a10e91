/** From a parsed command line to the command's exit code. */
import type { ParsedCommand } from './parse-command-line.ts';
import { printResult, type Terminal } from './terminal.ts';

/** Resolves to the exit code; rejects with what went wrong. */
export async function runCommand(parsed: ParsedCommand | { readonly help: string }, terminal: Terminal): Promise<number> {
  if ('help' in parsed) {
    printResult(terminal, parsed.help.trimEnd());
    return 0;
  }
  const { run } = await parsed.spec.load();
  return await run({ operands: parsed.operands, flags: parsed.flags, terminal });
}
