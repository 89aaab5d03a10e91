/** What FROM and COPY --from name: a named context, else an earlier stage, or else an image. Source: Dockerfile reference "FROM", "COPY --from". */
import { TsbuildError } from '../../errors.ts';
import { type Platform, parsePlatform } from '../../oci/platform.ts';
import { parseReference } from '../../oci/reference.ts';
import { expandWord } from '../../parser/expand.ts';
import type { Dockerfile, FromInstruction, Word } from '../../parser/instruction.ts';
import type { ArgSources, StageBase, StepSource } from './build-plan.ts';
import { type NamedContexts, namedSource } from './named-contexts.ts';
import { type SourceStage, stageBefore } from './source-stages.ts';

export interface BaseContext {
  readonly dockerfile: Dockerfile;
  readonly sourceStages: readonly SourceStage[];
  readonly args: ArgSources;
  readonly platform: Platform;
  readonly contexts: NamedContexts;
}

/**
 * The base of a stage; a stage in it is numbered as in the Dockerfile. Variables are global ARGs. Unlike elsewhere
 * the case of a stage's name counts, since an image could be meant. Throws without a location.
 */
export function resolveBase(context: BaseContext, stage: SourceStage): StageBase {
  const { image } = stage.from;
  const platform = basePlatform(context, stage.from);
  const name = expandGlobal(context, image);
  if (name === '') {
    throw new TsbuildError('EXPANSION', `Cannot use ${image.slice(0, 200)} as a base image: it is empty after expansion`, {
      hint: 'Only ARGs before the first FROM are known in FROM; give them a default or a --build-arg.',
    });
  }
  if (name === 'scratch') return { kind: 'scratch' };
  const named = namedSource(context.contexts, name, platform);
  if (named !== undefined) return named;
  const earlier = stageBefore(context.sourceStages, name, stage.number);
  return earlier === undefined ? imageSource(name, platform) : { kind: 'stage', index: earlier.number };
}

/** The platform of FROM, or else the build's. Throws without a location: EXPANSION, USAGE. */
export function basePlatform(context: BaseContext, { platform }: FromInstruction): Platform {
  if (platform === undefined) return context.platform;
  const text = expandGlobal(context, platform);
  if (text !== '') return parsePlatform(text);
  throw new TsbuildError('EXPANSION', `Cannot use ${platform.slice(0, 200)} as a platform: it is empty after expansion`);
}

/** What `COPY --from=name` of a stage reads: a context, a stage (case ignored), a 0-based number, or an image. Throws without a location. */
export function resolveCopySource(
  { sourceStages: stages, contexts }: Pick<BaseContext, 'sourceStages' | 'contexts'>,
  stage: SourceStage,
  { name, platform }: { readonly name: string; readonly platform: Platform },
): StepSource {
  const named = namedSource(contexts, name, platform);
  if (named !== undefined) return named;
  const earlier = stageBefore(stages, name.toLowerCase(), stage.number);
  if (earlier !== undefined) return { kind: 'stage', index: earlier.number };
  const later = stageBefore(stages, name.toLowerCase(), stages.length);
  if (later !== undefined) throw notEarlier(name, later === stage);
  if (/^\d+$/.test(name)) return numberedStage(stages, stage, name);
  if (name === 'scratch') throw new TsbuildError('STAGE_NOT_FOUND', 'Cannot copy from scratch: it has no files');
  return imageSource(name, platform);
}

function numberedStage(stages: readonly SourceStage[], stage: SourceStage, name: string): StepSource {
  const number = Number(name);
  if (number >= stages.length) {
    throw new TsbuildError(
      'STAGE_NOT_FOUND',
      `Cannot copy from stage ${name.slice(0, 20)}: the last stage has number ${stages.length - 1}`,
    );
  }
  if (number >= stage.number) throw notEarlier(name, number === stage.number);
  return { kind: 'stage', index: number };
}

function notEarlier(name: string, isSelf: boolean): TsbuildError {
  const reason = isSelf ? 'it is the stage itself' : 'it comes later';
  return new TsbuildError('STAGE_CYCLE', `Cannot copy from stage ${JSON.stringify(name.slice(0, 200))}: ${reason}`, {
    hint: 'A stage can copy from the stages above it; move that stage up.',
  });
}

function imageSource(name: string, platform: Platform): StepSource {
  parseReference(name);
  return { kind: 'image', reference: name, platform };
}

function expandGlobal({ args, dockerfile }: BaseContext, word: Word): string {
  return expandWord(word, (name) => args.globalArgs.get(name), { escape: dockerfile.escape });
}
