/** What a target can be given: arguments, secrets, SSH agents. The shape is that of BuildKit's `outline`. */
import { type SourceRange, TsbuildError } from '../../errors.ts';
import type { ArgInstruction, Dockerfile, Instruction } from '../../parser/instruction.ts';
import { commentsAbove, descriptionOf } from '../../parser/lint/comments.ts';
import type { LintStage, LintSubject } from '../../parser/lint/rule.ts';
import { type Mount, parseMount } from '../../parser/mount.ts';
import { type Platforms, platformArgs } from './build-args.ts';
import { neededStages } from './needed-stages.ts';

export interface Outline {
  /** Of the target, where it has one. */
  readonly name: string | undefined;
  readonly description: string;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly OutlineMount[];
  readonly ssh: readonly OutlineMount[];
}

export interface OutlineArg {
  readonly name: string;
  readonly description: string;
  /** What it is without further build arguments; undefined: it is not set. */
  readonly value: string | undefined;
  readonly range: SourceRange;
}

export interface OutlineMount {
  readonly name: string;
  readonly required: boolean;
  /** Where it is first used. */
  readonly range: SourceRange;
}

/** Of the stages that the target needs, in the Dockerfile's order; platform arguments left out. Throws STAGE_NOT_FOUND. */
export function outlineOf(subject: LintSubject, options: Platforms & { readonly target: string | undefined }): Outline {
  const needed = neededStages(subject, options.target);
  const target = needed.at(-1);
  const comments = commentsOf(subject.dockerfile);
  return {
    name: target?.from.as,
    description: target === undefined ? '' : descriptionOf(comments.get(target.from) ?? [], target.from.as ?? ''),
    args: argsOf(subject, needed, { comments, ignored: platformArgs(options, undefined) }),
    secrets: mountsOf(needed, 'secret'),
    ssh: mountsOf(needed, 'ssh'),
  };
}

export function commentsOf(dockerfile: Dockerfile): ReadonlyMap<Instruction, readonly string[]> {
  return new Map(commentsAbove(dockerfile).map(({ instruction, comments }) => [instruction, comments]));
}

interface ArgFacts {
  readonly comments: ReadonlyMap<Instruction, readonly string[]>;
  readonly ignored: ReadonlyMap<string, string>;
}

/** A global ARG counts where a FROM uses it, or a stage takes it over without a default of its own. */
function argsOf(subject: LintSubject, needed: readonly LintStage[], { comments, ignored }: ArgFacts): OutlineArg[] {
  const used = new Set(needed.flatMap(({ base, platform }) => [...base.used, ...(platform?.used ?? [])]));
  const found = new Map<string, OutlineArg>();
  const add = (instruction: ArgInstruction, name: string, value: string | undefined): void => {
    const known = found.get(name);
    const description = descriptionOf(comments.get(instruction) ?? [], name) || (known?.description ?? '');
    found.set(name, { name, description, value, range: known?.range ?? instruction.range });
  };
  const globals = new Map(subject.globals.flatMap((instruction) => instruction.declarations.map(({ key }) => [key, instruction] as const)));
  const takenOver = needed.flatMap(({ steps }) =>
    steps.flatMap(({ instruction }) =>
      instruction.kind === 'arg' ? instruction.declarations.filter(({ value }) => value === undefined) : [],
    ),
  );
  for (const { key } of takenOver) used.add(key);
  for (const [name, instruction] of globals) if (used.has(name)) add(instruction, name, subject.globalValues.get(name));
  for (const { steps } of needed) {
    for (const { instruction, argValues } of steps) {
      if (instruction.kind === 'arg') for (const [name, value] of argValues ?? []) if (!ignored.has(name)) add(instruction, name, value);
    }
  }
  return [...found.values()].toSorted(byLine);
}

function mountsOf(needed: readonly LintStage[], type: 'secret' | 'ssh'): OutlineMount[] {
  const found = new Map<string, OutlineMount>();
  for (const { steps } of needed) {
    for (const { instruction } of steps) {
      for (const text of instruction.kind === 'run' ? instruction.mounts : []) {
        const mount = readMount(text);
        if (mount === undefined || mount.type !== type) continue;
        const known = found.get(mount.id);
        const required = known?.required === true || mount.required;
        found.set(mount.id, { name: mount.id, required, range: known?.range ?? instruction.range });
      }
    }
  }
  return [...found.values()].toSorted(byLine);
}

/** undefined for one that makes sense only with its variables. */
function readMount(text: string): Extract<Mount, { id: string }> | undefined {
  try {
    const mount = parseMount(text, (word) => word);
    return mount.type === 'secret' || mount.type === 'ssh' ? mount : undefined;
  } catch (error) {
    if (error instanceof TsbuildError) return undefined;
    throw error;
  }
}

function byLine(a: { readonly range: SourceRange }, b: { readonly range: SourceRange }): number {
  return a.range.startLine - b.range.startLine;
}
