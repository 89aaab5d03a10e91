/** From argv to the command's exit code. */
import { parseCommandLine } from './parse-command-line.ts';
import { readVersion } from './read-version.ts';
import { printResult, type Terminal } from './terminal.ts';

/** Resolves to the exit code; rejects with what went wrong. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  const parsed = parseCommandLine(argv, readVersion());
  if ('help' in parsed) {
    printResult(terminal, parsed.help.trimEnd());
    return 0;
  }
  const { run } = await parsed.spec.load();
  return await run({ operands: parsed.operands, flags: parsed.flags, terminal });
}
