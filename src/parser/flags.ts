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
  if (raw.flags.length === 0) return withoutFlags(types);
  const values = new Map<string, string | boolean | string[]>();
  for (const [name, type] of Object.entries(types)) if (type === 'list') values.set(name, []);
  for (const flag of raw.flags) readFlag(raw, flag, { types, values });
  return Object.fromEntries(Object.keys(types).map((name) => [name, values.get(name)])) as Flags<T>;
}

const ABSENT = new WeakMap<FlagTypes, unknown>();

/** Most instructions have no flags: the same value for all of them, as long as their tables are constants. */
function withoutFlags<T extends FlagTypes>(types: T): Flags<T> {
  const known = ABSENT.get(types) as Flags<T> | undefined;
  const absent =
    known ?? Object.freeze(Object.fromEntries(Object.entries(types).map(([name, type]) => [name, type === 'list' ? [] : undefined])));
  if (known === undefined) ABSENT.set(types, absent);
  return absent as Flags<T>;
}

interface FlagTable {
  readonly types: FlagTypes;
  readonly values: Map<string, string | boolean | string[]>;
}

function readFlag(raw: RawInstruction, flag: string, { types, values }: FlagTable): void {
  const equals = flag.indexOf('=');
  const name = equals === -1 ? flag.slice(2) : flag.slice(2, equals);
  const value = equals === -1 ? undefined : flag.slice(equals + 1);
  const part = { kind: 'flag', name } as const;
  if (!Object.hasOwn(types, name)) {
    const hint =
      Object.keys(types).length === 0
        ? `${raw.keyword} has no flags; write "${raw.keyword} -- ..." if the text begins with "--".`
        : undefined;
    const guess = didYouMean(name, Object.keys(types), '--');
    throw syntaxError(raw, `Unknown flag --${name.slice(0, 80)} of ${raw.keyword}${guess}`, { part, hint });
  }
  const known = values.get(name);
  if (Array.isArray(known)) {
    known.push(needValue(raw, name, value));
    return;
  }
  if (known !== undefined) throw syntaxError(raw, `Cannot use flag --${name} of ${raw.keyword} twice`, { part });
  values.set(name, types[name] === 'boolean' ? readBoolean(raw, name, value) : needValue(raw, name, value));
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
