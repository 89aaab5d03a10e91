/**
 * Text that others wrote (a RUN's output, a Dockerfile, a registry's message) made safe for a terminal. Escape sequences
 * can move the cursor over what was printed, change the window's title or answer on standard input, so only colours
 * survive, and only in the output of a RUN.
 */

/** CSI, OSC and other string sequences, two-character escapes; in that order, since each starts like the next. */
const SEQUENCES =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|\x1b[ -/]*[0-~]/g;
const COLOUR = /^\x1b\[[0-9;:]*m$/;
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const RESET = '\x1b[0m';

/** One line without control characters: what is left shows what was meant, never acts. Tabs stay. */
export function plainText(text: string): string {
  return text.replace(SEQUENCES, '').replace(CONTROLS, '');
}

/** JSON that shows each control character by its escape: JSON.stringify() leaves those above ASCII, and the marks of direction. */
export function plainJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent);
  return text.replace(
    /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Several lines, such as a message with a list; line breaks and tabs stay. */
export function plainLines(text: string): string {
  return text.split(/\r?\n/).map(plainText).join('\n');
}

/** A line of a RUN's output with its colours (`'keep'`), which end with the line. */
export function outputText(line: string, colours: 'keep' | 'drop'): string {
  if (colours === 'drop' || !line.includes('\x1b[')) return plainText(line);
  let hasColour = false;
  // Colours are cut out, what is between them is cleaned, and they go back in.
  const parts = line.split(/(\x1b\[[0-9;:]*m)/);
  const safe = parts.map((part) => {
    if (!COLOUR.test(part)) return plainText(part);
    hasColour = true;
    return part;
  });
  return safe.join('') + (hasColour ? RESET : '');
}
