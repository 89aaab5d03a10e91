/** Flags of instructions: `--name[=value]` before the arguments. Source: Dockerfile reference, each instruction's options. */
import { type RawInstruction, syntaxError } from './raw-instruction.ts';
import { didYouMean } from './suggest.ts';

export type FlagType = 'string' | 'list' | 'boolean';
export type FlagTypes = Readonly<Record<string, FlagType>>;

/** Of an instruction without flags. */
export const NO_FLAGS = {} as const satisfies FlagTypes;

/** What `readFlags` gives for a table of types: undefined where a flag is absent (a list is empty). */
export type Flags<T extends FlagTypes> = {
  readonly [Name in keyof T]: T[Name] extends 'list'
    ? readonly string[]
    : T[Name] extends 'boolean'
      ? boolean | undefined
      : string | undefined;
};

/** Checks an instruction's flags against the ones that it has. Throws DOCKERFILE_SYNTAX. */
export function readFlags<T extends FlagTypes>(raw: RawInstruction, types: T): Flags<T> {
  const absent = withoutFlags(types);
  if (raw.flags.length === 0) return absent as Flags<T>;
  const values = { ...absent };
  for (const flag of raw.flags) readFlag(raw, flag, { types, values });
  return values as Flags<T>;
}

type FlagValue = string | boolean | readonly string[] | undefined;

const NO_VALUES: readonly string[] = Object.freeze([]);
const ABSENT = new WeakMap<FlagTypes, Readonly<Record<string, FlagValue>>>();

/** Most instructions have no flags: the same value for all of them, as long as their tables are constants. */
function withoutFlags(types: FlagTypes): Readonly<Record<string, FlagValue>> {
  const known = ABSENT.get(types);
  if (known !== undefined) return known;
  const entries = Object.entries(types).map(([name, type]) => [name, type === 'list' ? NO_VALUES : undefined]);
  const absent: Readonly<Record<string, FlagValue>> = Object.freeze(Object.fromEntries(entries));
  ABSENT.set(types, absent);
  return absent;
}

interface FlagTable {
  readonly types: FlagTypes;
  /** One for each type, and nothing else. */
  readonly values: Record<string, FlagValue>;
}

function readFlag(raw: RawInstruction, flag: string, { types, values }: FlagTable): void {
  const equals = flag.indexOf('=');
  const name = equals === -1 ? flag.slice(2) : flag.slice(2, equals);
  const value = equals === -1 ? undefined : flag.slice(equals + 1);
  if (!Object.hasOwn(types, name)) {
    const hint =
      Object.keys(types).length === 0
        ? `${raw.keyword} has no flags; write "${raw.keyword} -- ..." if the text begins with "--".`
        : undefined;
    const guess = didYouMean(name, Object.keys(types), '--');
    throw syntaxError(raw, `Unknown flag --${name.slice(0, 80)} of ${raw.keyword}${guess}`, { part: { kind: 'flag', name }, hint });
  }
  const known = values[name];
  if (types[name] === 'list') {
    if (known === NO_VALUES) values[name] = [needValue(raw, name, value)];
    else (known as string[]).push(needValue(raw, name, value));
    return;
  }
  if (known !== undefined)
    throw syntaxError(raw, `Cannot use flag --${name} of ${raw.keyword} twice`, {
      part: { kind: 'flag', name },
    });
  values[name] = types[name] === 'boolean' ? readBoolean(raw, name, value) : needValue(raw, name, value);
}

function needValue(raw: RawInstruction, name: string, value: string | undefined): string {
  if (value !== undefined) return value;
  throw syntaxError(raw, `Flag --${name} of ${raw.keyword} needs a value`, {
    part: { kind: 'flag', name },
    hint: `Write --${name}=value.`,
  });
}

function readBoolean(raw: RawInstruction, name: string, value: string | undefined): boolean {
  const lower = value?.toLowerCase();
  if (lower === undefined || lower === 'true') return true;
  if (lower === 'false') return false;
  throw syntaxError(raw, `Cannot use ${JSON.stringify(value?.slice(0, 80))} as the value of --${name}: not true or false`, {
    part: { kind: 'flag', name },
  });
}
