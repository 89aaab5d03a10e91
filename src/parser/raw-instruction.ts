/** An instruction cut into keyword, flags and the rest: what the parsers of the single instructions start from. */
import { type SourceRange, TsbuildError } from '../errors.ts';
import { extractFlags } from './flag-words.ts';
import type { Escape, Heredoc } from './instruction.ts';
import { type DockerfileText, locate, type SourcePart } from './location.ts';
import type { Segment } from './segment.ts';
import { splitFirst } from './words.ts';

export interface RawInstruction {
  /** Upper-case. */
  readonly keyword: string;
  /** Such as `--from=build`; quotes and escapes resolved. */
  readonly flags: readonly string[];
  /** Everything after the flags, without blanks around it. */
  readonly rest: string;
  readonly text: string;
  readonly range: SourceRange;
  readonly heredocs: readonly Heredoc[];
  readonly escape: Escape;
  readonly source: DockerfileText;
  warn(message: string): void;
}

/** Splits a segment's line. */
export function readRawInstruction(
  segment: Segment,
  source: DockerfileText,
  warn: (message: string, range: SourceRange) => void,
): RawInstruction {
  const { first, rest } = splitFirst(segment.line);
  return {
    keyword: first.toUpperCase(),
    ...extractFlags(rest),
    text: segment.line,
    range: segment.range,
    heredocs: segment.heredocs,
    escape: source.escape,
    source,
    warn: (message) => warn(message, segment.range),
  };
}

/** What all instructions have. */
export function baseOf({ range, text }: RawInstruction): { range: SourceRange; text: string } {
  return { range, text };
}

/** DOCKERFILE_SYNTAX at the instruction, or at a part of it. */
export function syntaxError(
  raw: RawInstruction,
  message: string,
  details: { readonly part?: SourcePart; readonly hint?: string | undefined } = {},
): TsbuildError {
  return new TsbuildError('DOCKERFILE_SYNTAX', message, { hint: details.hint, location: locate(raw.source, raw, details.part) });
}
