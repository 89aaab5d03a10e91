/** A flag that other commands may repeat, where it is given once. */
export function textFlag(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.at(-1);
}
