/** `--check` and its kin: what is known of a Dockerfile without building it; and the findings that a build shows. */
import { existsSync } from 'node:fs';
import type { BuildPlan } from '../builder/plan/build-plan.ts';
import { baseImageNames, type LintInput, lintSubject } from '../builder/plan/lint-subject.ts';
import { neededStages } from '../builder/plan/needed-stages.ts';
import { type Outline, outlineOf } from '../builder/plan/outline.ts';
import { planBuild } from '../builder/plan/plan-build.ts';
import { type Target, targetsOf } from '../builder/plan/targets.ts';
import { hidesWhole } from '../context/ignore-file.ts';
import type { DockerfileText } from '../context/read-dockerfile.ts';
import { readIgnoreFile } from '../context/read-ignore-file.ts';
import { defaultRoot } from '../default-root.ts';
import { TsbuildError } from '../errors.ts';
import { findImage, needPlatform } from '../images/image.ts';
import { platformOf } from '../oci/platform.ts';
import type { Dockerfile, FromInstruction } from '../parser/instruction.ts';
import { type LintWarning, lintDockerfile, lintOptionsOf } from '../parser/lint/lint-dockerfile.ts';
import type { ImageFacts } from '../parser/lint/rule.ts';
import { parseDockerfile } from '../parser/parse-dockerfile.ts';
import { type CommonOptions, openSession, type Session } from '../session.ts';
import { namedSources, plannedContexts } from './build-contexts.ts';
import { type InputOptions, localDirectory, localDockerfile, openBuildInput } from './build-input.ts';

export interface CheckOptions extends CommonOptions, InputOptions {
  /** By default every stage is checked, and the last one outlined. */
  readonly target?: string | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
}

/** The Dockerfile that something was found out about. */
export interface CheckedSource {
  readonly file: string;
  readonly text: string;
}

export interface CheckResult {
  readonly source: CheckedSource;
  readonly warnings: readonly LintWarning[];
  /** Why it cannot be built, as far as planning tells; with `error=true`, that there are findings. */
  readonly error: TsbuildError | undefined;
}

/** Looks for what its author may not have meant. Runs nothing and asks no registry. Rejects for a Dockerfile that cannot be parsed. */
export async function checkDockerfile(options: CheckOptions): Promise<CheckResult> {
  const dockerfile = await readAndParse(options);
  const input = inputOf(options);
  const images = existsSync(options.root ?? defaultRoot()) ? await knownImages(options, dockerfile, input) : undefined;
  const built = options.target === undefined ? 'all' : neededFroms(dockerfile, input, options.target);
  const { warnings, isError } = lint(dockerfile, { ...input, images, built, isIgnored: ignoreTest(options) });
  const { file, text } = dockerfile;
  const error = planFault(dockerfile, options) ?? (isError && warnings.length > 0 ? failedCheck(dockerfile, warnings) : undefined);
  return { source: { file, text }, warnings, error };
}

/** Arguments, secrets and SSH agents of the target. */
export async function outlineDockerfile(options: CheckOptions): Promise<Outline & { readonly source: CheckedSource }> {
  const dockerfile = await readAndParse(options);
  const input = inputOf(options);
  const { file, text } = dockerfile;
  const subject = lintSubject(dockerfile, { ...input, built: 'all' });
  return { ...outlineOf(subject, { ...input, target: options.target }), source: { file, text } };
}

/** Stages that can be built. */
export async function listTargets(options: CheckOptions): Promise<{ readonly targets: readonly Target[]; readonly source: CheckedSource }> {
  const dockerfile = await readAndParse(options);
  const { file, text } = dockerfile;
  return { targets: targetsOf(dockerfile), source: { file, text } };
}

/** Emits a build's findings, of the stages that it needs. Throws CHECK_FAILED where the Dockerfile says that they are errors. */
export async function warnOfFindings(session: Session, plan: BuildPlan, options: CheckOptions): Promise<void> {
  const { dockerfile } = plan;
  const input = { ...inputOf(options), platform: plan.platform };
  const built = new Set(plan.stages.flatMap(({ steps: [from] }) => (from?.instruction.kind === 'from' ? from.instruction : [])));
  const images = await imageFacts({ store: session.store, platform: plan.platform }, baseImageNames(dockerfile, input));
  const { warnings, isError } = lint(dockerfile, { ...input, built, images, isIgnored: ignoreTest(options) });
  for (const { rule, detail, range } of warnings) {
    session.emit({ kind: 'warning', message: `${dockerfile.file}:${range.startLine}: ${detail} (${rule})`, rule });
  }
  if (isError && warnings.length > 0) throw failedCheck(dockerfile, warnings);
}

function lint(dockerfile: Dockerfile, input: LintInput): { readonly warnings: LintWarning[]; readonly isError: boolean } {
  const options = lintOptionsOf(dockerfile, input.buildArgs.get('BUILDKIT_DOCKERFILE_CHECK'));
  return { warnings: lintDockerfile(lintSubject(dockerfile, input), options), isError: options.isError };
}

/** A Dockerfile that is not on this machine is fetched, with the context that it lies in. */
async function readAndParse(options: CheckOptions): Promise<Dockerfile> {
  const source = localDockerfile(options) ?? (await fetchDockerfile(options));
  return parseDockerfile(source.text, source);
}

async function fetchDockerfile(options: CheckOptions): Promise<DockerfileText> {
  await using session = await openSession(options);
  await using input = await openBuildInput(session, options);
  return input.dockerfile;
}

function inputOf(options: CheckOptions): Omit<LintInput, 'built'> {
  const platform = platformOf(process.arch);
  return { buildArgs: new Map(Object.entries(options.buildArgs ?? {})), platform, buildPlatform: platform };
}

function neededFroms(dockerfile: Dockerfile, input: Omit<LintInput, 'built'>, target: string): Set<FromInstruction> {
  return new Set(neededStages(lintSubject(dockerfile, { ...input, built: 'all' }), target).map(({ from }) => from));
}

async function knownImages(
  options: CheckOptions,
  dockerfile: Dockerfile,
  input: Omit<LintInput, 'built'>,
): Promise<ReadonlyMap<string, ImageFacts> | undefined> {
  const names = baseImageNames(dockerfile, input);
  if (names.length === 0) return undefined;
  await using session = await openSession(options);
  return await imageFacts(session, names);
}

/** Of those that the store has. */
async function imageFacts(
  { store, platform }: Pick<Session, 'store' | 'platform'>,
  names: readonly string[],
): Promise<Map<string, ImageFacts>> {
  const facts = new Map<string, ImageFacts>();
  for (const name of names) {
    try {
      const stored = store.images.resolve(name);
      if (stored === undefined) continue;
      const image = await findImage(store, stored.descriptor, platform);
      if (image === undefined) continue;
      const { config } = needPlatform(image, platform).config;
      facts.set(name, { env: config?.Env ?? [], hasShell: (config?.Shell ?? []).length > 0, isForOtherPlatform: false });
    } catch (error) {
      // Whatever is wrong with a name or an image is told when it is used.
      if (!(error instanceof TsbuildError)) throw error;
      if (error.code === 'ERR_TSBUILD_PLATFORM_NOT_FOUND') facts.set(name, { env: [], hasShell: false, isForOtherPlatform: true });
    }
  }
  return facts;
}

/** undefined where there is no ignore file, or the context is no directory. */
function ignoreTest(options: CheckOptions): ((file: string) => boolean) | undefined {
  const local = localDirectory(options);
  if (local === undefined || !existsSync(local.path)) return undefined;
  const rules = readIgnoreFile(local.path, local.dockerfile);
  return rules && ((file) => hidesWhole(rules, file));
}

/** undefined where a build would at least begin; what tsbuild does not have yet, or a build has to allow, is no fault of the Dockerfile. */
function planFault(dockerfile: Dockerfile, options: CheckOptions): TsbuildError | undefined {
  try {
    const { buildArgs, platform, buildPlatform } = inputOf(options);
    const contexts = plannedContexts(namedSources(options.contexts ?? {}));
    planBuild(dockerfile, { buildArgs, platform, buildPlatform, target: options.target, contexts });
    return undefined;
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    return error.code === 'ERR_TSBUILD_UNSUPPORTED' || error.code === 'ERR_TSBUILD_NOT_ALLOWED' ? undefined : error;
  }
}

function failedCheck({ file, text }: Dockerfile, warnings: readonly LintWarning[]): TsbuildError {
  const rules = [...new Set(warnings.map(({ rule }) => rule))];
  const [first] = warnings;
  return new TsbuildError('CHECK_FAILED', `Cannot accept ${file}: its check=error=true makes errors of ${rules.join(', ')}`, {
    hint: 'Correct what was found, or leave rules out with check=skip=RULE.',
    ...(first === undefined ? {} : { location: { file, text, range: first.range } }),
  });
}
