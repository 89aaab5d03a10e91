/** An instruction cut into keyword, flags and the rest: what the parsers of the single instructions start from. */
import { type SourceRange, TsbuildError } from '../errors.ts';
import { extractFlags } from './flag-words.ts';
import type { Escape, Heredoc, ParseWarning } from './instruction.ts';
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
  readonly warnings: ParseWarning[];
}

/** Splits a segment's line. What is found wrong but can be read goes to `warnings`. */
export function readRawInstruction(segment: Segment, source: DockerfileText, warnings: ParseWarning[]): RawInstruction {
  const { line, range, heredocs } = segment;
  const { first, rest: written } = splitFirst(line);
  const { flags, rest } = extractFlags(written);
  return { keyword: first.toUpperCase(), flags, rest, text: line, range, heredocs, escape: source.escape, source, warnings };
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
