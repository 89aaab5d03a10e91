/** The stages that `--target` can name. The shape is that of BuildKit's `targets`. */
import type { SourceRange } from '../../errors.ts';
import type { Dockerfile } from '../../parser/instruction.ts';
import { descriptionOf } from '../../parser/lint/comments.ts';
import { commentsOf } from './outline.ts';
import { splitStages } from './source-stages.ts';

export interface Target {
  /** undefined: a stage without a name, which only the last one can be built as. */
  readonly name: string | undefined;
  readonly description: string;
  /** As FROM has it, variables and all. */
  readonly base: string;
  /** It is built where no target is named. */
  readonly isDefault: boolean;
  readonly range: SourceRange;
}

export function targetsOf(dockerfile: Dockerfile): Target[] {
  const comments = commentsOf(dockerfile);
  const { stages } = splitStages(dockerfile);
  return stages.map(({ from, number }) => ({
    name: from.as,
    description: descriptionOf(comments.get(from) ?? [], from.as ?? ''),
    base: from.image,
    isDefault: number === stages.length - 1,
    range: from.range,
  }));
}
