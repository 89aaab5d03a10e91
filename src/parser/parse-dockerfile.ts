/** Dockerfile text → typed instructions. Source: Dockerfile reference; where it is silent, BuildKit's behaviour. Pure. */
import { TsbuildError } from '../errors.ts';
import { readDirectives } from './directives.ts';
import type { Directive, Dockerfile, Instruction, ParseWarning } from './instruction.ts';
import type { DockerfileText } from './location.ts';
import { parseInstruction } from './parse-instruction.ts';
import { readRawInstruction, syntaxError } from './raw-instruction.ts';
import { type Segment, segment, splitLines } from './segment.ts';

const BYTE_ORDER_MARK = '\ufeff';
/** Frontends whose language is the one that this parser reads. */
const OWN_SYNTAX = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@].*)?$/;

/**
 * Parses a whole Dockerfile; time is linear in the text. `file` names it in messages, nothing is read from disk.
 * Throws TsbuildError DOCKERFILE_SYNTAX or UNKNOWN_INSTRUCTION, with its location, for the first fault.
 */
export function parseDockerfile(text: string, options: { readonly file: string }): Dockerfile {
  const { file } = options;
  const lines = splitLines(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text);
  const { directives, escape: escapeChar } = readDirectives(lines, { file, text });
  const source: DockerfileText = { file, text, escape: escapeChar };
  const warnings: ParseWarning[] = directives.flatMap((directive) => directiveWarnings(directive));
  const instructions: Instruction[] = [];
  let staged = false;
  for (const part of segment({ ...source, lines })) {
    if (part.blankLine !== undefined) warnings.push(emptyContinuation(part, part.blankLine, lines));
    const raw = readRawInstruction(part, source, warnings);
    const instruction = parseInstruction(raw);
    staged ||= instruction.kind === 'from';
    if (!staged && instruction.kind !== 'arg') {
      throw syntaxError(raw, `Cannot use ${raw.keyword} before the first FROM: there is no stage yet`, {
        hint: 'Only ARG may come before FROM.',
      });
    }
    instructions.push(instruction);
  }
  if (!staged)
    throw new TsbuildError(
      'DOCKERFILE_SYNTAX',
      `Cannot build from ${file}: ${emptiness(text, instructions)}`,
      locationOfEnd(source, instructions),
    );
  return { ...source, directives, instructions, warnings };
}

/** Placed at the line that ends the continuation, as BuildKit does. */
function emptyContinuation({ headEndLine }: Segment, blankLine: number, lines: readonly string[]): ParseWarning {
  const range = {
    startLine: headEndLine,
    startColumn: 0,
    endLine: headEndLine,
    endColumn: (lines[headEndLine - 1] ?? '').trimEnd().length,
  };
  return { rule: 'NoEmptyContinuation', message: `Line ${blankLine} is empty inside a line continuation`, range };
}

function emptiness(text: string, instructions: readonly Instruction[]): string {
  if (text === '') return 'the file is empty';
  return instructions.length === 0 ? 'the file has no instructions' : 'the file has no FROM';
}

function locationOfEnd({ file, text }: DockerfileText, instructions: readonly Instruction[]): { location: TsbuildError['location'] } {
  const range = instructions.at(-1)?.range ?? { startLine: 1, startColumn: 0, endLine: 1, endColumn: 0 };
  return { location: { file, text, range } };
}

function directiveWarnings({ name, value, line }: Directive): ParseWarning[] {
  if (name !== 'syntax' || OWN_SYNTAX.test(value)) return [];
  const range = { startLine: line, startColumn: 0, endLine: line, endColumn: 0 };
  return [{ message: `Directive syntax=${value.slice(0, 200)} is ignored: tsbuild reads the Dockerfile itself`, range }];
}
