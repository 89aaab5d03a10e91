/** The shell and exec forms; CMD, ENTRYPOINT and SHELL. */
import { NO_FLAGS, readFlags } from './flags.ts';
import type { CmdInstruction, CommandLine, EntrypointInstruction, ShellInstruction } from './instruction.ts';
import { readJsonForm } from './json-form.ts';
import { baseOf, type RawInstruction, syntaxError } from './raw-instruction.ts';

export function parseCmd(raw: RawInstruction): CmdInstruction {
  readFlags(raw, NO_FLAGS);
  return { kind: 'cmd', ...baseOf(raw), command: parseCommandLine(raw, raw.rest) };
}

export function parseEntrypoint(raw: RawInstruction): EntrypointInstruction {
  readFlags(raw, NO_FLAGS);
  return { kind: 'entrypoint', ...baseOf(raw), command: parseCommandLine(raw, raw.rest) };
}

/** JSON is a must here. */
export function parseShell(raw: RawInstruction): ShellInstruction {
  readFlags(raw, NO_FLAGS);
  const json = readJsonForm(raw.rest);
  if (json.form !== 'strings' || json.strings.length === 0) {
    throw syntaxError(raw, 'SHELL takes a JSON array of strings', { hint: 'Write SHELL ["/bin/sh", "-c"].' });
  }
  return { kind: 'shell', ...baseOf(raw), argv: json.strings };
}

/** An empty text is a command, too: one that does nothing. JSON strings are the exec form; anything else is text for the shell, with a warning if it was meant to be JSON. */
export function parseCommandLine(raw: RawInstruction, text: string): CommandLine {
  const json = readJsonForm(text);
  switch (json.form) {
    case 'strings':
      return { form: 'exec', argv: json.strings };
    case 'not-strings':
      throw notStrings(raw);
    case 'none':
      if (looksLikeArray(text)) raw.warnings.push({ message: notJson(raw), range: raw.range });
      return { form: 'shell', script: text };
  }
}

export function notStrings(raw: RawInstruction): Error {
  return syntaxError(raw, `The JSON array of ${raw.keyword} has something other than strings in it`, {
    hint: 'Put every element in double quotes.',
  });
}

function notJson({ keyword }: RawInstruction): string {
  return `${keyword} looks like a JSON array but is not valid JSON: it is run by the shell as it stands`;
}

/** `[ -f x ] && y` is a shell's test, not an array. */
function looksLikeArray(text: string): boolean {
  return text.endsWith(']') && /^\[\s*["']/.test(text);
}
