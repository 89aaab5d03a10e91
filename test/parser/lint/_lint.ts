/** Lints a Dockerfile's text for linux/amd64. */
import { lintSubject } from '../../../src/builder/plan/lint-subject.ts';
import { neededStages } from '../../../src/builder/plan/needed-stages.ts';
import { hidesWhole, parseIgnoreFile } from '../../../src/context/ignore-file.ts';
import { type LintWarning, lintDockerfile, lintOptionsOf } from '../../../src/parser/lint/lint-dockerfile.ts';
import type { ImageFacts } from '../../../src/parser/lint/rule.ts';
import { parseDockerfile } from '../../../src/parser/parse-dockerfile.ts';

const AMD64 = { os: 'linux', architecture: 'amd64' };

export interface LintText {
  readonly args?: Readonly<Record<string, string>> | undefined;
  readonly target?: string | undefined;
  readonly ignoreFile?: string | undefined;
  readonly images?: ReadonlyMap<string, ImageFacts>;
}

export function lint(text: string, { args = {}, target, ignoreFile, images }: LintText = {}): LintWarning[] {
  const dockerfile = parseDockerfile(text, { file: 'Dockerfile' });
  const buildArgs = new Map(Object.entries(args));
  const rules = ignoreFile === undefined ? undefined : parseIgnoreFile(ignoreFile);
  const platforms = { platform: AMD64, buildPlatform: AMD64, buildArgs };
  const all = lintSubject(dockerfile, { ...platforms, built: 'all' });
  const subject = lintSubject(dockerfile, {
    ...platforms,
    built: target === undefined ? 'all' : new Set(neededStages(all, target).map(({ from }) => from)),
    isIgnored: rules && ((path) => hidesWhole(rules, path)),
    images,
  });
  return lintDockerfile(subject, lintOptionsOf(dockerfile, args['BUILDKIT_DOCKERFILE_CHECK']));
}

/** `line rule` each. */
export function found(text: string, options: LintText = {}): string[] {
  return lint(text, options).map(({ range, rule }) => `${range.startLine} ${rule}`);
}
