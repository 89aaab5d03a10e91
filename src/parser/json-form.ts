/** The JSON form of arguments: an array of strings. Source: Dockerfile reference "Exec form". */

/** `not-strings`: valid JSON array with something else in it, which is an error; `none`: not the JSON form, so the text counts as it stands. */
export type JsonForm =
  | { readonly form: 'strings'; readonly strings: readonly string[] }
  | { readonly form: 'not-strings' }
  | { readonly form: 'none' };

const NONE: JsonForm = { form: 'none' };

/** Strict JSON: single quotes, a trailing comma or text after the `]` make it `none`. */
export function readJsonForm(text: string): JsonForm {
  if (!text.trimStart().startsWith('[')) return NONE;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // RangeError: nested deeper than the stack.
    if (error instanceof SyntaxError || error instanceof RangeError) return NONE;
    throw error;
  }
  if (!Array.isArray(value)) return NONE;
  const strings = value.filter((item): item is string => typeof item === 'string');
  return strings.length === value.length ? { form: 'strings', strings } : { form: 'not-strings' };
}
