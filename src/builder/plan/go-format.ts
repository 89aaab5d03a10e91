/** Values as Go's fmt prints them with `%q`: BuildKit writes some history entries so. Source: Go's strconv.Quote, time.Duration.String. */

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['\\', '\\\\'],
]);
const PRINTABLE_ASCII = /^[ -~]$/;
const CODE_POINT_MAX = 0x10_ffff;
const REPLACEMENT = '\ufffd';
const SECOND_NS = 1_000_000_000;

/** A string in double quotes. */
export function goQuote(text: string): string {
  return `"${Array.from(text, (char) => escapeChar(char, '"')).join('')}"`;
}

/** `["a" "b"]`, without commas. */
export function goQuoteList(words: readonly string[]): string {
  return `[${words.map(goQuote).join(' ')}]`;
}

/** A number as the character that it is the code of, in single quotes: `%q` of an int. */
export function goQuoteRune(code: number): string {
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  const char = code > CODE_POINT_MAX || isSurrogate ? REPLACEMENT : String.fromCodePoint(code);
  return `'${escapeChar(char, "'")}'`;
}

/** Such as `1h0m0.5s`, `1.5ms` or `0s`; of nanoseconds, not negative. */
export function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s';
  if (nanoseconds < 1000) return `${nanoseconds}ns`;
  if (nanoseconds < 1_000_000) return `${decimal(nanoseconds, 1000)}µs`;
  if (nanoseconds < SECOND_NS) return `${decimal(nanoseconds, 1_000_000)}ms`;
  const minutes = Math.floor(nanoseconds / (60 * SECOND_NS));
  const seconds = `${decimal(nanoseconds % (60 * SECOND_NS), SECOND_NS)}s`;
  if (minutes === 0) return seconds;
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}

/** `value / unit` exactly, without zeros at its end; `unit` is a power of ten. */
function decimal(value: number, unit: number): string {
  const fraction = String(value % unit).padStart(String(unit).length - 1, '0');
  return `${Math.floor(value / unit)}.${fraction}`.replace(/\.?0+$/, '');
}

function escapeChar(char: string, quote: '"' | "'"): string {
  if (char === quote) return `\\${quote}`;
  const short = ESCAPES.get(char);
  if (short !== undefined) return short;
  if (PRINTABLE_ASCII.test(char)) return char;
  if (/\p{Cs}/u.test(char)) return REPLACEMENT;
  // Here and not above: V8 needs a millisecond for classes of Unicode.
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char)) return char;
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
