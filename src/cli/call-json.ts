/** Answers of `--call` with `format=json`: the keys are BuildKit's, so that programs can read both. */
import type { SourceRange } from '../errors.ts';
import type { CheckedSource, CheckResult, listTargets, OutlineMount, outlineDockerfile } from '../index.ts';

export function checkJson({ source, warnings, error }: CheckResult): object {
  return {
    warnings: warnings.map(({ rule, description, url, detail, range }) => ({
      ruleName: rule,
      description,
      url,
      detail,
      location: linesOf(range),
    })),
    sources: [{ filename: source.file, data: base64(source), language: 'Dockerfile' }],
    ...(error === undefined
      ? {}
      : { buildError: { message: error.message, location: error.location === undefined ? {} : linesOf(error.location.range) } }),
  };
}

export function outlineJson(outline: Awaited<ReturnType<typeof outlineDockerfile>>): object {
  const { name, description, args, secrets, ssh, source } = outline;
  return {
    ...{ name, description: optional(description) },
    args: args.map((arg) => ({
      ...{ name: arg.name, description: optional(arg.description), value: optional(arg.value) },
      location: linesOf(arg.range),
    })),
    secrets: mounts(secrets),
    ssh: mounts(ssh),
    sources: [base64(source)],
  };
}

export function targetsJson({ targets, source }: Awaited<ReturnType<typeof listTargets>>): object {
  return {
    targets: targets.map(({ name, description, base, isDefault, range }) => ({
      ...{ name, default: isDefault ? true : undefined, description: optional(description), base },
      location: linesOf(range),
    })),
    sources: [base64(source)],
  };
}

function mounts(list: readonly OutlineMount[]): object[] | undefined {
  if (list.length === 0) return undefined;
  return list.map(({ name, required, range }) => ({ name, required: required ? true : undefined, location: linesOf(range) }));
}

/** One range a line, as BuildKit gives them. */
function linesOf({ startLine, endLine }: SourceRange): object {
  const lines = Array.from({ length: endLine - startLine + 1 }, (_, index) => startLine + index);
  return { ranges: lines.map((line) => ({ start: { line }, end: { line } })) };
}

/** Empty is left out. */
function optional(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function base64({ text }: CheckedSource): string {
  return Buffer.from(text).toString('base64');
}
