/** Comments and what they belong to. Source: Dockerfile reference "Build checks"; BuildKit's outline. */
import type { Dockerfile, Instruction } from '../instruction.ts';
import { splitLines } from '../segment.ts';

export interface CommentedInstruction {
  readonly instruction: Instruction;
  /** Between the instruction before and this one, in order, without `#` and blanks around; neither empty ones nor `check=` lines. */
  readonly comments: readonly string[];
  /** Value of the `# check=` comments on the lines directly above it. */
  readonly checks: readonly string[];
}

/** Every instruction that has comments above it. Linear in the text. */
export function commentsAbove(dockerfile: Dockerfile): CommentedInstruction[] {
  if (!dockerfile.text.includes('#')) return [];
  const lines = splitLines(dockerfile.text);
  const found: CommentedInstruction[] = [];
  // Parser directives are no comments.
  let next = dockerfile.directives.at(-1)?.line ?? 0;
  for (const instruction of dockerfile.instructions) {
    const above = readComments(lines.slice(next, instruction.range.startLine - 1));
    if (above.comments.length > 0 || above.checks.length > 0) found.push({ instruction, ...above });
    next = instruction.range.endLine;
  }
  return found;
}

/** The text after the name in the last comment above, where that is one of `names`. */
export function descriptionOf(comments: readonly string[], name: string): string {
  const last = comments.at(-1) ?? '';
  return last.startsWith(`${name} `) ? last.slice(name.length + 1).trim() : '';
}

function readComments(lines: readonly string[]): { comments: string[]; checks: string[] } {
  const comments: string[] = [];
  let checks: string[] = [];
  for (const line of lines) {
    const trimmed = line.trim();
    if (trimmed === '') checks = [];
    if (!trimmed.startsWith('#')) continue;
    // BuildKit takes away the first character, whatever it is: a comment that is indented describes nothing.
    const text = line.slice(1).trim();
    const check = /^#\s*check\s*=(.*)$/i.exec(trimmed);
    if (check !== null) checks.push(check[1] ?? '');
    else if (text !== '') comments.push(text);
  }
  return { comments, checks };
}
