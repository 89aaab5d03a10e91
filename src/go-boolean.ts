/** The words that Docker's tools take for true and false: Go's strconv.ParseBool, in any case. undefined for others. */
export function goBoolean(text: string): boolean | undefined {
  if (/^(?:1|t|true)$/i.test(text)) return true;
  return /^(?:0|f|false)$/i.test(text) ? false : undefined;
}
