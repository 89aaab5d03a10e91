/** Where an instruction, or a flag, word or variable of it, stands in the Dockerfile. */
import { createRequire } from 'node:module';
import type * as Ast from 'dockerfile-ast';
import type { SourceLocation, SourceRange } from '../errors.ts';
import type { Escape } from './instruction.ts';
import { segment, splitLines } from './segment.ts';

export type SourcePart =
  | { readonly kind: 'keyword' }
  | { readonly kind: 'flag'; readonly name: string }
  | { readonly kind: 'argument'; readonly value: string }
  | { readonly kind: 'variable'; readonly name: string }
  /** UTF-16 units of a word, in the instruction or in the body of a heredoc. */
  | { readonly kind: 'piece'; readonly word: string; readonly start: number; readonly end: number };

/** What dockerfile-ast knows the place of. */
type AstPart = Exclude<SourcePart, { readonly kind: 'piece' }>;

export interface DockerfileText {
  readonly file: string;
  readonly text: string;
  readonly escape: Escape;
}

/** Instructions longer than this get no finer range than their lines: the search is not linear. */
const FINE_LENGTH_MAX = 65_536;

/** The place of an instruction; with `part`, of that part of it as far as it can be found. */
export function locate(source: DockerfileText, instruction: { readonly range: SourceRange }, part?: SourcePart): SourceLocation {
  const { file, text } = source;
  const range = part === undefined ? undefined : findPart(source, instruction.range, part);
  return { file, text, range: range ?? instruction.range };
}

/** Ranges come from dockerfile-ast, fed with this one instruction, heredoc bodies left out; it is loaded for an error only. */
function findPart(source: DockerfileText, range: SourceRange, part: SourcePart): SourceRange | undefined {
  const lines = splitLines(source.text).slice(range.startLine - 1, range.endLine);
  if (part.kind === 'piece') return findPiece(lines, range, part);
  const [head] = segment({ ...source, lines });
  // Without its `<<` a heredoc's marker is a plain word of the same width; a carriage return alone ends no line for us.
  const snippet = lines
    .slice(0, head?.headEndLine)
    .join('\n')
    .replaceAll('<<', '__')
    .replace(/\r(?!\n)/g, ' ');
  if (snippet.length > FINE_LENGTH_MAX) return undefined;
  const found = searchTree(`# escape=${source.escape}\n${snippet}`, part);
  if (found === undefined) return undefined;
  // One line up for the directive in front; lines there are 0-based.
  const shift = range.startLine - 1;
  return {
    startLine: found.start.line + shift,
    startColumn: found.start.character,
    endLine: found.end.line + shift,
    endColumn: found.end.character,
  };
}

/** The piece within its word where that stands on one line, else the first such piece; undefined where it goes over lines. */
function findPiece(lines: readonly string[], range: SourceRange, part: SourcePart & { readonly kind: 'piece' }): SourceRange | undefined {
  const { word, start, end } = part;
  const needles = [
    { text: word, shift: start },
    { text: word.slice(start, end), shift: 0 },
  ];
  for (const { text, shift } of needles) {
    for (const [index, line] of lines.entries()) {
      const from = index === 0 ? range.startColumn : 0;
      const column = line.indexOf(text, from);
      if (column === -1) continue;
      const number = range.startLine + index;
      return { startLine: number, startColumn: column + shift, endLine: number, endColumn: column + shift + end - start };
    }
  }
  return undefined;
}

function searchTree(snippet: string, part: AstPart): ReturnType<Ast.Argument['getRange']> | undefined {
  const ast = createRequire(import.meta.url)('dockerfile-ast') as typeof Ast;
  let instruction: Ast.Instruction | undefined;
  try {
    [instruction] = ast.DockerfileParser.parse(snippet).getInstructions();
    return instruction === undefined ? undefined : searchInstruction(instruction, part);
  } catch (error) {
    // It throws TypeErrors for odd heredocs; a coarser range is then good enough, the error being shown is another one.
    if (error instanceof TypeError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function searchInstruction(instruction: Ast.Instruction, part: AstPart): ReturnType<Ast.Argument['getRange']> | undefined {
  switch (part.kind) {
    case 'keyword':
      return instruction.getInstructionRange();
    case 'flag':
      return flagsOf(instruction)
        .find((flag) => flag.getName() === part.name)
        ?.getRange();
    case 'argument':
      return instruction
        .getArguments()
        .find((argument) => argument.getValue() === part.value)
        ?.getRange();
    case 'variable':
      return instruction
        .getVariables()
        .find((variable) => variable.getName() === part.name)
        ?.getRange();
  }
}

function flagsOf(instruction: Ast.Instruction): Ast.Flag[] {
  return 'getFlags' in instruction && typeof instruction.getFlags === 'function'
    ? (instruction as Ast.ModifiableInstruction).getFlags()
    : [];
}
